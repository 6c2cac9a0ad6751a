"""Who calls: by a signed request (the key's node), by a bearer token (the name beside it), or, if allowed, by address.

Each caller is a name of its own kind, so that none can be taken for another: `did:key:...`, `token:...`, `address:...`.
"""

import hashlib
import stat
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coalesced.gateway.a2a.http_signatures import MAX_AGE_S, SignatureError, SignedRequest, verify_request
from crypto.identity import did_key
from node.errors import UsageError

MAX_NONCES: Final = 100_000
"""Nonces remembered: at 600 requests a minute and 10 minutes of validity, those of 16 busy callers."""
MAX_TOKENS: Final = 10_000
MIN_TOKEN_CHARS: Final = 20
"""Shorter ones can be guessed."""


class UnknownCallerError(Exception):
    """The request's credentials are missing or wrong; the text may be shown to whoever sent it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose tasks a request is about. `is_known`: it showed credentials."""

    name: str
    is_known: bool
    public_key: bytes | None = None
    """The key that signed the request."""


class Callers:
    """Tells callers apart. Pure but for what it remembers: nonces that were used."""

    def __init__(
        self, tokens: Mapping[bytes, str], *, anonymous: bool, by_address: bool = False, since_unix_s: int = 0
    ) -> None:
        """`tokens`: names by the SHA-256 of their tokens. `by_address`: an address is as good as credentials.

        `since_unix_s`: from when on nonces are remembered: what was signed before may be a copy.
        """
        self._tokens = dict(tokens)
        self._anonymous = anonymous
        self._by_address = by_address
        self._since_unix_s = since_unix_s
        self._nonces: OrderedDict[tuple[bytes, str], int] = OrderedDict()

    def identify(self, request: SignedRequest, address: str, now_unix_s: int) -> Caller:
        """Who sent `request`; UnknownCallerError when its credentials do not say, or it has none and needs some."""
        if "signature-input" in request.headers:
            return self._signer(request, now_unix_s)
        if authorization := request.headers.get("authorization", ""):
            return self._bearer(authorization)
        if not self._anonymous:
            raise UnknownCallerError("sign the request (RFC 9421, ed25519) or send a bearer token")
        return Caller(f"address:{address}", is_known=self._by_address)

    def _signer(self, request: SignedRequest, now_unix_s: int) -> Caller:
        try:
            signer = verify_request(request, now_unix_s=now_unix_s)
        except SignatureError as error:
            raise UnknownCallerError(str(error)) from error
        if signer.created_unix_s < self._since_unix_s:
            raise UnknownCallerError("this request was signed before this agent was started: sign it anew")
        self._forget(now_unix_s)
        used = (signer.public_key, signer.nonce)
        if used in self._nonces:
            raise UnknownCallerError("this signed request was received before: sign each request anew")
        if len(self._nonces) >= MAX_NONCES:
            raise UnknownCallerError("too many signed requests at once: try again in a minute")
        self._nonces[used] = now_unix_s + 2 * MAX_AGE_S
        return Caller(did_key(signer.public_key), is_known=True, public_key=signer.public_key)

    def _forget(self, now_unix_s: int) -> None:
        while self._nonces and next(iter(self._nonces.values())) < now_unix_s:
            self._nonces.popitem(last=False)

    def _bearer(self, authorization: str) -> Caller:
        scheme, _, token = authorization.partition(" ")
        # Looked up by its digest: how long that takes says nothing about the token.
        name = self._tokens.get(hashlib.sha256(token.strip().encode()).digest())
        if scheme.lower() != "bearer" or name is None:
            raise UnknownCallerError("this token is not known here")
        return Caller(f"token:{name}", is_known=True)


def read_tokens(path: Path) -> dict[bytes, str]:
    """Names by the SHA-256 of their tokens; UsageError for a file that others can read, or a line that is no pair."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise UsageError(f"{path} holds tokens and others can read it: chmod 600 {path}")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"a2a.tokens_file: {path} cannot be read: {error}") from error
    tokens: dict[bytes, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, token = line.strip().partition(" ")
        if len(token.strip()) < MIN_TOKEN_CHARS:
            raise UsageError(
                f"{path}:{number}: write a name, a space, and a token of {MIN_TOKEN_CHARS} or more characters"
            )
        tokens[hashlib.sha256(token.strip().encode()).digest()] = name
    if len(tokens) > MAX_TOKENS:
        raise UsageError(f"{path} holds {len(tokens)} tokens, over the limit of {MAX_TOKENS}")
    return tokens
