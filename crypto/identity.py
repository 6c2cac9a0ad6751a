"""A node's Ed25519 identity: signatures with a domain label, did:key names, ids that cannot be chosen.

Key files are node/store/keyfile's business; this module only ever sees raw 32-byte values.
"""

import hashlib
from base64 import b32encode
from functools import lru_cache
from typing import NewType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NodeId = NewType("NodeId", bytes)
"""160 bits: the leading part of SHA-256(public key), a Kademlia id that its holder can prove but not choose."""

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ED25519_MULTICODEC = b"\xed\x01"
_JWS_BEGIN = b"eyJ"
"""The base64url of '{"': where every JWS header begins."""
_HTTP_BEGIN = b'"@method": '
"""Where every signature base that we make begins: the method is the first component that we cover."""


def _labelled(label: bytes, message: bytes) -> bytes:
    return b"coalesced/" + label + b"/1\x00" + message


class Identity:
    """A private signing key and its public half. Its repr never shows the private key."""

    __slots__ = ("_key", "public_key")

    def __init__(self, seed: bytes) -> None:
        """Build from the 32-byte Ed25519 seed (RFC 8032)."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key: bytes = self._key.public_key().public_bytes_raw()

    def sign(self, label: bytes, message: bytes) -> bytes:
        """The 64-byte signature of `message` under the domain `label`."""
        return self._key.sign(_labelled(label, message))

    def sign_jws_input(self, signing_input: bytes) -> bytes:
        """The 64-byte signature of a JWS signing input (RFC 7515, 5.1), which has no room for a domain label.

        It begins with the base64url of a JSON object, as none of our labels does; ValueError for anything else.
        """
        if not signing_input.startswith(_JWS_BEGIN):
            raise ValueError("only the signing input of a JWS is signed without a domain label")
        return self._key.sign(signing_input)

    def sign_http_base(self, base: bytes) -> bytes:
        """The 64-byte signature of an HTTP signature base (RFC 9421, 2.5), which has no room for a domain label.

        It begins with the quoted name of a component, as nothing else that is signed does; ValueError otherwise.
        """
        if not base.startswith(_HTTP_BEGIN):
            raise ValueError("only a signature base that begins with its method is signed without a domain label")
        return self._key.sign(base)

    def seed(self) -> bytes:
        """The 32 secret bytes, for the key file only."""
        return self._key.private_bytes_raw()

    @property
    def node_id(self) -> NodeId:
        """This identity's Kademlia id."""
        return node_id(self.public_key)

    def __repr__(self) -> str:
        return f"Identity({short_id(self.public_key)})"


@lru_cache(maxsize=4096)
def _public(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)


def verify(public_key: bytes, label: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is `public_key`'s over `message` under the domain `label`. Total: never raises."""
    try:
        _public(public_key).verify(signature, _labelled(label, message))
    except (InvalidSignature, ValueError):
        return False
    return True


def verify_jws_input(public_key: bytes, signing_input: bytes, signature: bytes) -> bool:
    """Whether `signature` is `public_key`'s over the signing input of a JWS. Total: never raises."""
    try:
        _public(public_key).verify(signature, signing_input)
    except (InvalidSignature, ValueError):
        return False
    return signing_input.startswith(_JWS_BEGIN)


def verify_http_base(public_key: bytes, base: bytes, signature: bytes) -> bool:
    """Whether `signature` is `public_key`'s over an HTTP signature base. Total: never raises."""
    try:
        _public(public_key).verify(signature, base)
    except (InvalidSignature, ValueError):
        return False
    return base.startswith(b'"')


def node_id(public_key: bytes) -> NodeId:
    """The leading 160 bits of SHA-256(public key)."""
    return NodeId(hashlib.sha256(public_key).digest()[:20])


@lru_cache(maxsize=1024)
def short_id(public_key: bytes) -> str:
    """Eight base32 characters of the node id: how a person names a peer. Remembered: every event of a task says it."""
    return b32encode(node_id(public_key)[:5]).decode().lower()


def did_key(public_key: bytes) -> str:
    """The did:key form (W3C did:key: multibase base58btc over the ed25519-pub multicodec)."""
    number = int.from_bytes(_ED25519_MULTICODEC + public_key, "big")
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    return "did:key:z" + digits


def parse_did_key(text: str) -> bytes:
    """The 32-byte public key in a did:key; ValueError when it is not an Ed25519 one."""
    if not text.startswith("did:key:z") or not 50 <= len(text) <= 64:
        raise ValueError(f"{text[:80]!r} is not an Ed25519 did:key: it must start with did:key:z6Mk")
    number = 0
    for character in text[len("did:key:z") :]:
        digit = _BASE58.find(character)
        if digit < 0:
            raise ValueError(f"{character!r} is not a base58 character")
        number = number * 58 + digit
    raw = number.to_bytes(48, "big").lstrip(b"\0")
    if len(raw) != 34 or not raw.startswith(_ED25519_MULTICODEC):
        raise ValueError(f"{text[:80]!r} does not hold an Ed25519 public key")
    return raw[2:]
