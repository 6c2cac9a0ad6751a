"""An Ed25519 private key as PKCS8 in PEM (RFC 8410), the form that openssl reads."""

from typing import Final

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

PEM_BEGIN: Final = b"-----BEGIN PRIVATE KEY-----"


def encode_private_key(seed: bytes) -> bytes:
    """The PEM text of the key with this 32-byte seed, not encrypted."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def decode_private_key(pem: bytes) -> bytes:
    """The 32-byte seed; ValueError when the text is anything but an unencrypted Ed25519 key."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError) as error:
        # InternalError: OpenSSL met what it has no name for, such as a version number of zero length.
        raise ValueError("it holds no readable unencrypted PKCS8 key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"it holds a {type(key).__name__}, not an Ed25519 key")  # noqa: TRY004  # a wrong value, not a wrong call
    return key.private_bytes_raw()
