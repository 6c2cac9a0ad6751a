"""HTTP Message Signatures (RFC 9421) with Ed25519 and a body digest (RFC 9530), as far as requests to agents need them.

Pure: times and nonces are passed in. A signature must cover the method, the authority, the path, the query where there
is one, and the digest of the body where there is one; whoever covers more may. `keyid` is the signer's did:key.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from crypto.identity import Identity, did_key, parse_did_key, verify_http_base

LABEL: Final = "sig1"
ALGORITHM: Final = "ed25519"
MAX_HEADER_CHARS: Final = 4096
MAX_COMPONENTS: Final = 32
MAX_AGE_S: Final = 300
"""How far the signer's clock may be behind ours, and how long a request may be on its way."""
MAX_AHEAD_S: Final = 30
"""How far it may be ahead: for that long after a restart a copy of such a signer's request could pass."""
DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}

_INPUT = re.compile(
    r'([a-z*][a-z0-9_.*-]*)=\(((?:"[^"\\]{1,64}"(?: (?!\)))?)*)\)((?:;[a-z]+=(?:"[^"\\]{0,256}"|\d{1,15}))*)'
)
_PARAMETER = re.compile(r';([a-z]+)=("([^"\\]*)"|\d+)')
_SIGNATURE = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]{1,128}):")
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]{44}):")


class SignatureError(ValueError):
    """A request's signature is missing something, malformed, stale, or not its signer's; the text says which."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The parts of a request that a signature can cover; header names in lower case."""

    method: str
    scheme: str
    authority: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def to(cls, method: str, url: str, headers: Mapping[str, str], body: bytes) -> "SignedRequest":
        """A request that is about to be sent to `url`."""
        parts = urlsplit(url)
        lower = {name.lower(): value for name, value in headers.items()}
        return cls(method, parts.scheme, parts.netloc, parts.path or "/", parts.query, lower, body)


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose signature a request bears, and what makes it this request and no copy of it."""

    public_key: bytes
    nonce: str
    created_unix_s: int


def sign_request(identity: Identity, request: SignedRequest, *, created_unix_s: int, nonce: str) -> dict[str, str]:
    """The headers to add to `request`: Content-Digest, Signature-Input, Signature."""
    added: dict[str, str] = {}
    covered = ["@method", "@authority", "@path"]
    if request.query:
        covered.append("@query")
    if request.body:
        added["content-digest"] = content_digest(request.body)
        covered.append("content-digest")
    names = " ".join(f'"{name}"' for name in covered)
    parameters = f';created={created_unix_s};nonce="{nonce}";keyid="{did_key(identity.public_key)}";alg="{ALGORITHM}"'
    base = _base(request, added, covered, f"({names}){parameters}")
    signature = base64.b64encode(identity.sign_http_base(base)).decode()
    return {
        **({"Content-Digest": added["content-digest"]} if added else {}),
        "Signature-Input": f"{LABEL}=({names}){parameters}",
        "Signature": f"{LABEL}=:{signature}:",
    }


def verify_request(request: SignedRequest, *, now_unix_s: int) -> Signer:
    """Who signed `request`; SignatureError otherwise. Whether its nonce was seen before is the caller's to know."""
    label, covered, parameters, text = _input(_header(request, "signature-input"))
    if (missing := _required(request) - set(covered)) and not _covered_by_target(missing, covered):
        raise SignatureError(f"the signature does not cover {', '.join(sorted(missing))}")
    if len(set(covered)) != len(covered):
        raise SignatureError("the signature covers a component twice")
    if parameters.get("alg", ALGORITHM) != ALGORITHM:
        raise SignatureError(f"the signature's alg is {parameters['alg'][:40]!r}, not {ALGORITHM!r}")
    created_unix_s, nonce = _moment(parameters, now_unix_s), parameters.get("nonce", "")
    if not nonce:
        raise SignatureError("the signature has no nonce: a copy of the request could not be told from it")
    try:
        key = parse_did_key(parameters.get("keyid", ""))
    except ValueError as error:
        raise SignatureError(f"the signature's keyid is not the did:key of a node: {error}") from error
    if (
        "content-digest" in covered
        and _digest(_header(request, "content-digest")) != hashlib.sha256(request.body).digest()
    ):
        raise SignatureError("the Content-Digest is not that of the body")
    base = _base(request, request.headers, covered, text)
    if not verify_http_base(key, base, _signature(_header(request, "signature"), label)):
        raise SignatureError(f"the signature is not that of {did_key(key)} over this request")
    return Signer(key, nonce, created_unix_s)


def content_digest(body: bytes) -> str:
    """The Content-Digest field of a body (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def _required(request: SignedRequest) -> set[str]:
    required = {"@method", "@authority", "@path"}
    if request.query:
        required.add("@query")
    if request.body:
        required.add("content-digest")
    return required


def _covered_by_target(missing: set[str], covered: list[str]) -> bool:
    return "@target-uri" in covered and missing <= {"@authority", "@path", "@query"}


def _base(request: SignedRequest, headers: Mapping[str, str], covered: list[str], parameters: str) -> bytes:
    """The signature base (RFC 9421, 2.5)."""
    lines = [f'"{name}": {_component(request, headers, name)}' for name in covered]
    try:
        return "\n".join([*lines, f'"@signature-params": {parameters}']).encode("ascii")
    except UnicodeEncodeError as error:
        raise SignatureError("a covered component is not ASCII") from error


def _component(request: SignedRequest, headers: Mapping[str, str], name: str) -> str:
    match name:
        case "@method":
            return request.method
        case "@authority":
            return request.authority.lower().removesuffix(DEFAULT_PORTS.get(request.scheme, ""))
        case "@scheme":
            return request.scheme
        case "@path":
            return request.path
        case "@query":
            return f"?{request.query}"
        case "@target-uri":
            query = f"?{request.query}" if request.query else ""
            return f"{request.scheme}://{request.authority}{request.path}{query}"
        case _ if name.startswith("@"):
            raise SignatureError(f"the signature covers {name[:40]!r}, which this reader does not know")
        case _:
            if name not in headers:
                raise SignatureError(f"the signature covers the header {name[:40]!r}, which the request lacks")
            return " ".join(headers[name].strip().split("\n"))


def _header(request: SignedRequest, name: str) -> str:
    value = request.headers.get(name, "")
    if not value:
        raise SignatureError(f"the request has no {name} header")
    if len(value) > MAX_HEADER_CHARS:
        raise SignatureError(f"the {name} header has {len(value)} characters, over the limit of {MAX_HEADER_CHARS}")
    return value


def _input(value: str) -> tuple[str, list[str], dict[str, str], str]:
    """Label, covered components, parameters, and the text of both as it is signed; of one signature only."""
    found = _INPUT.fullmatch(value.strip())
    if found is None:
        raise SignatureError("the Signature-Input is not one signature with quoted components and its parameters")
    label, names, parameters = found[1], found[2].split(), found[3]
    if len(names) > MAX_COMPONENTS:
        raise SignatureError(f"the signature covers {len(names)} components, over the limit of {MAX_COMPONENTS}")
    read = {one[1]: one[3] if one[3] is not None else one[2] for one in _PARAMETER.finditer(parameters)}
    return label, [name.strip('"') for name in names], read, f"({found[2]}){parameters}"


def _moment(parameters: Mapping[str, str], now_unix_s: int) -> int:
    created, expires = parameters.get("created", ""), parameters.get("expires", "")
    if not created.isdigit():
        raise SignatureError("the signature does not say when it was created")
    age_s = now_unix_s - int(created)
    if age_s > MAX_AGE_S:
        raise SignatureError(f"the signature was created {age_s} s ago by this node's clock; the limit is {MAX_AGE_S}")
    if -age_s > MAX_AHEAD_S:
        raise SignatureError(f"the signature was created {-age_s} s from now by this node's clock: set the signer's")
    if expires.isdigit() and int(expires) < now_unix_s:
        raise SignatureError("the signature has expired")
    return int(created)


def _signature(value: str, label: str) -> bytes:
    found = _SIGNATURE.fullmatch(value.strip())
    if found is None or found[1] != label:
        raise SignatureError(f"the Signature header holds no signature {label!r} in base64")
    return _decoded(found[2])


def _digest(value: str) -> bytes:
    found = _DIGEST.search(value)
    if found is None:
        raise SignatureError("the Content-Digest has no sha-256 in base64")
    return _decoded(found[1])


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureError("a value in a signature header is not base64") from error
