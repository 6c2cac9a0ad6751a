"""JSON Web Signatures (RFC 7515) by a node's key: Ed25519 (RFC 8037), compact, whole or with the payload detached.

    token    = base64url(header) "." base64url(payload) "." base64url(signature)
    detached = base64url(header) ".." base64url(signature)

What is signed is the first two parts of the token, so it begins with "eyJ": no signature of another kind, all of which
begin with "coalesced/", can be taken for it. The header's `alg` is EdDSA when we write; readers take Ed25519 (RFC 9864)
as well. Its `kid` is the signer's did:key. Whatever else a header may offer as a key (jwk, jku, x5c) is not looked at.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from crypto.identity import Identity, did_key, parse_did_key, verify_jws_input
from crypto.jcs import JcsError, Json, canonical, parse

ALGORITHMS: Final = ("EdDSA", "Ed25519")
MAX_TOKEN_CHARS: Final = 2**18
"""A card or certificate has a few thousand."""


class JwsError(ValueError):
    """A token is malformed, or its signature is not what it should be; the text says which."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A payload whose signature was checked, the key that signed it, and the header that said so."""

    payload: bytes
    signer: bytes
    header: Mapping[str, Json]


def sign_compact(identity: Identity, payload: bytes, *, typ: str) -> str:
    """A token that carries `payload`. `typ` names what it is (RFC 7515, 4.1.9), and readers insist on it."""
    head, signature = sign_parts(identity, payload, typ=typ)
    return f"{head}.{encode_base64url(payload)}.{signature}"


def sign_detached(identity: Identity, payload: bytes, *, typ: str) -> str:
    """A token over a `payload` that travels elsewhere (RFC 7515, appendix F)."""
    head, signature = sign_parts(identity, payload, typ=typ)
    return f"{head}..{signature}"


def sign_parts(identity: Identity, payload: bytes, *, typ: str) -> tuple[str, str]:
    """The protected header and the signature, each in base64url: how an A2A card carries them."""
    head = encode_base64url(canonical({"alg": ALGORITHMS[0], "kid": did_key(identity.public_key), "typ": typ}))
    signature = identity.sign_jws_input(f"{head}.{encode_base64url(payload)}".encode())
    return head, encode_base64url(signature)


def verify_compact(token: str, *, typ: str | None, signer: bytes | None = None) -> Signed:
    """The checked content of a token; JwsError otherwise. See `verify_parts` for `typ` and `signer`."""
    head, payload, signature = _split(token)
    if not payload:
        raise JwsError("this token carries no payload")
    return verify_parts(head, decode_base64url(payload), signature, typ=typ, signer=signer)


def verify_detached(token: str, payload: bytes, *, typ: str | None, signer: bytes | None = None) -> Signed:
    """Check a detached token over `payload`; JwsError otherwise. See `verify_parts` for `typ` and `signer`."""
    head, carried, signature = _split(token)
    if carried:
        raise JwsError("a detached token carries no payload of its own, but this one does")
    return verify_parts(head, payload, signature, typ=typ, signer=signer)


def verify_parts(head: str, payload: bytes, signature: str, *, typ: str | None, signer: bytes | None = None) -> Signed:
    """Check a header and signature in base64url over `payload`; JwsError otherwise.

    `typ` is what the header must say; None takes any. `signer` is the key that must have signed; None takes the key
    that the header's `kid` names, which shows who signed, and not that one should believe it.
    """
    header = _header(head)
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise JwsError(f"the header's alg is {str(algorithm)[:40]!r}: this reader takes {' and '.join(ALGORITHMS)}")
    if "crit" in header:
        raise JwsError("the header demands extensions (crit) that this reader does not know")
    if typ is not None and header.get("typ") != typ:
        raise JwsError(f"the header's typ is {str(header.get('typ'))[:40]!r}, not {typ!r}")
    key = _signer(header, signer)
    if not verify_jws_input(key, f"{head}.{encode_base64url(payload)}".encode(), decode_base64url(signature)):
        raise JwsError(f"the signature is not that of {did_key(key)}")
    return Signed(payload, key, header)


def encode_base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """The bytes of base64url without padding; JwsError for anything but the one text that encodes them."""
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise JwsError("a part of the token is not base64url") from error
    if encode_base64url(data) != text:  # stray last bits, padding: a second spelling of the same bytes
        raise JwsError("a part of the token is not base64url in its one spelling")
    return data


def _split(token: str) -> tuple[str, str, str]:
    if len(token) > MAX_TOKEN_CHARS:
        raise JwsError(f"a token of {len(token)} characters is over the limit of {MAX_TOKEN_CHARS}")
    parts = token.split(".")
    if len(parts) != 3:
        raise JwsError(f"a token has three parts with dots between, not {len(parts)}")
    return parts[0], parts[1], parts[2]


def _header(head: str) -> dict[str, Json]:
    try:
        header = parse(decode_base64url(head))
    except JcsError as error:
        raise JwsError(f"the token's header cannot be read: {error}") from error
    if not isinstance(header, dict):
        raise JwsError("the token's header is not a JSON object")
    return header


def _signer(header: Mapping[str, Json], expected: bytes | None) -> bytes:
    kid = header.get("kid")
    if kid is None and expected is not None:
        return expected
    if not isinstance(kid, str):
        raise JwsError("the token does not say who signed it (kid)")
    try:
        key = parse_did_key(kid)
    except ValueError as error:
        raise JwsError(f"the token's kid is not the did:key of a node: {error}") from error
    if expected is not None and key != expected:
        raise JwsError(f"the token was signed by {kid}, not by {did_key(expected)}")
    return key
