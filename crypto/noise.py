"""Noise_XX_25519_AESGCM_SHA256, sans-IO: messages in, messages out, entropy handed in by the caller.

Source: The Noise Protocol Framework, revision 34; section numbers below are its. The pattern is XX:

    -> e                    the initiator's ephemeral key, in clear
    <- e, ee, s, es         the responder's keys, its static one sealed
    -> s, se                the initiator's static key, sealed

A departure in form only: `write_message` takes a function from the handshake hash to the payload, because our payloads
sign the hash as it stands after the keys of that same message (section 11.4 reads the hash after the last message).
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PROTOCOL_NAME: Final = b"Noise_XX_25519_AESGCM_SHA256"
MAX_MESSAGE_BYTES: Final = 65_535
"""Section 3: no Noise message is longer."""
TAG_BYTES: Final = 16
KEY_BYTES: Final = 32
MAX_NONCE: Final = 2**64 - 1
"""Section 5.1: reserved for rekey; a message may not use it."""
NONCE_BYTES: Final = 12
"""Section 12.4: 32 bits of zeros, then the counter, big-endian."""

EXHAUSTED: Final = "all 2^64 - 1 nonces of this key are used: the session must end"

Bytes = bytes | bytearray | memoryview
Token = Literal["e", "s", "ee", "es", "se"]
PATTERN_XX: Final[tuple[tuple[Token, ...], ...]] = (("e",), ("e", "ee", "s", "es"), ("s", "se"))


class NoiseError(Exception):
    """A message that does not belong here: altered, out of order, from another session, or with a weak key."""


class NonceExhaustedError(NoiseError):
    """2^64 - 1 messages went one way; the session must end (section 5.1)."""


class KeyPair:
    """An X25519 key with its public half. Its repr never shows the private key."""

    __slots__ = ("_private", "public")

    def __init__(self, secret: bytes) -> None:
        """From 32 secret random bytes."""
        self._private = X25519PrivateKey.from_private_bytes(secret)
        self.public: bytes = self._private.public_key().public_bytes_raw()

    def exchange(self, public: bytes) -> bytes:
        """The 32-byte shared secret; NoiseError for a low-order point."""
        try:
            # Raises for an all-zero result, so that such a point cannot force a key (section 12.1 leaves it open).
            return self._private.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as error:
            raise NoiseError("the peer's key is a low-order point, which would fix the shared secret") from error

    def __repr__(self) -> str:
        return f"KeyPair({self.public.hex()[:8]})"


class CipherState:
    """One direction of a keyed channel: AES-256-GCM with a counter (section 5.1)."""

    __slots__ = ("_aead", "_key", "nonce")

    def __init__(self, key: bytes, nonce: int = 0) -> None:
        """`key` is 32 bytes; `nonce` counts the messages that have gone through, and is for others to read only."""
        self._key = key
        self._aead = AESGCM(key)
        self.nonce = nonce

    def encrypt(self, plaintext: Bytes, associated: bytes = b"") -> bytes:
        """The ciphertext and its 16-byte tag."""
        nonce = self.nonce
        if nonce >= MAX_NONCE:
            raise NonceExhaustedError(EXHAUSTED)
        sealed = self._aead.encrypt(nonce.to_bytes(NONCE_BYTES, "big"), plaintext, associated)
        self.nonce = nonce + 1
        return sealed

    def decrypt(self, sealed: Bytes, associated: bytes = b"") -> bytes:
        """The plaintext; NoiseError when the tag is wrong, and the counter then stays where it was."""
        nonce = self.nonce
        if nonce >= MAX_NONCE:
            raise NonceExhaustedError(EXHAUSTED)
        try:
            plaintext = self._aead.decrypt(nonce.to_bytes(NONCE_BYTES, "big"), sealed, associated)
        except (InvalidTag, ValueError) as error:
            raise NoiseError("a message does not open with this session's key and counter") from error
        self.nonce = nonce + 1
        return plaintext

    def encrypt_into(self, plaintext: Bytes, out: memoryview) -> None:
        """As `encrypt`, into `out`, exactly 16 bytes longer than `plaintext`; saves copying large messages."""
        self._aead.encrypt_into(self._nonce_bytes(), plaintext, None, out)
        self.nonce += 1

    def decrypt_into(self, sealed: Bytes, out: memoryview) -> None:
        """As `decrypt`, into `out`, exactly 16 bytes shorter than `sealed`."""
        try:
            self._aead.decrypt_into(self._nonce_bytes(), sealed, None, out)
        except (InvalidTag, ValueError) as error:
            raise NoiseError("a message does not open with this session's key and counter") from error
        self.nonce += 1

    def rekey(self) -> None:
        """Replace the key by a one-way function of it (section 4.2); the counter goes on."""
        self._key = self._aead.encrypt(MAX_NONCE.to_bytes(NONCE_BYTES, "big"), bytes(KEY_BYTES), None)[:KEY_BYTES]
        self._aead = AESGCM(self._key)

    def _nonce_bytes(self) -> bytes:
        # The two for small messages have these lines in place: the call is a sixth of sealing one.
        if self.nonce >= MAX_NONCE:
            raise NonceExhaustedError(EXHAUSTED)
        return self.nonce.to_bytes(NONCE_BYTES, "big")


class _SymmetricState:
    """Chaining key, handshake hash, and the key that seals handshake payloads once there is one (section 5.2)."""

    __slots__ = ("_chaining_key", "_cipher", "hash")

    def __init__(self, prologue: bytes) -> None:
        self.hash = PROTOCOL_NAME.ljust(hashlib.sha256().digest_size, b"\0")
        self._chaining_key = self.hash
        self._cipher: CipherState | None = None
        self.mix_hash(prologue)

    def mix_hash(self, data: bytes) -> None:
        self.hash = hashlib.sha256(self.hash + data).digest()

    def mix_key(self, shared: bytes) -> None:
        self._chaining_key, key = _hkdf2(self._chaining_key, shared)
        self._cipher = CipherState(key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        sealed = plaintext if self._cipher is None else self._cipher.encrypt(plaintext, self.hash)
        self.mix_hash(sealed)
        return sealed

    def decrypt_and_hash(self, sealed: bytes) -> bytes:
        plaintext = sealed if self._cipher is None else self._cipher.decrypt(sealed, self.hash)
        self.mix_hash(sealed)
        return plaintext

    @property
    def sealed_key_bytes(self) -> int:
        return KEY_BYTES + (0 if self._cipher is None else TAG_BYTES)

    def split(self) -> tuple[CipherState, CipherState]:
        first, second = _hkdf2(self._chaining_key, b"")
        return CipherState(first), CipherState(second)


class Handshake:
    """One side of one XX handshake (section 5.3). Write and read alternate, the initiator writes first.

    After a NoiseError the object is of no further use. Messages out of turn are a ValueError: our bug.
    """

    __slots__ = ("_ephemeral", "_initiator", "_remote_ephemeral", "_static", "_symmetric", "_turn", "remote_static")

    def __init__(self, *, initiator: bool, static: KeyPair, ephemeral: KeyPair, prologue: bytes) -> None:
        """`ephemeral` must be fresh."""
        self._initiator = initiator
        self._static = static
        self._ephemeral = ephemeral
        self._remote_ephemeral: bytes | None = None
        self.remote_static: bytes | None = None
        self._symmetric = _SymmetricState(prologue)
        self._turn = 0

    @property
    def static_public(self) -> bytes:
        """This side's static public key."""
        return self._static.public

    @property
    def hash(self) -> bytes:
        """The handshake hash so far: 32 bytes that both sides agree on after every message."""
        return self._symmetric.hash

    @property
    def is_finished(self) -> bool:
        """Whether all three messages have gone."""
        return self._turn == len(PATTERN_XX)

    def write_message(self, payload: Callable[[bytes], bytes]) -> bytes:
        """The next message. `payload` gets the handshake hash after this message's keys and returns the payload."""
        message = bytearray()
        for token in self._next_tokens(writing=True):
            match token:
                case "e":
                    self._symmetric.mix_hash(self._ephemeral.public)
                    message += self._ephemeral.public
                case "s":
                    message += self._symmetric.encrypt_and_hash(self.static_public)
                case _:
                    self._mix_exchange(token)
        message += self._symmetric.encrypt_and_hash(payload(self.hash))
        if len(message) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a handshake message of {len(message)} bytes is over the limit of {MAX_MESSAGE_BYTES}")
        return bytes(message)

    def read_message(self, message: bytes) -> tuple[bytes, bytes]:
        """The payload, and the handshake hash that its writer saw; NoiseError when the message is not right."""
        if len(message) > MAX_MESSAGE_BYTES:
            raise NoiseError(f"a handshake message of {len(message)} bytes is over the limit of {MAX_MESSAGE_BYTES}")
        rest = message
        for token in self._next_tokens(writing=False):
            match token:
                case "e":
                    self._remote_ephemeral, rest = _cut(rest, KEY_BYTES)
                    self._symmetric.mix_hash(self._remote_ephemeral)
                case "s":
                    sealed, rest = _cut(rest, self._symmetric.sealed_key_bytes)
                    self.remote_static = self._symmetric.decrypt_and_hash(sealed)
                case _:
                    self._mix_exchange(token)
        seen = self.hash
        return self._symmetric.decrypt_and_hash(rest), seen

    def split(self) -> tuple[CipherState, CipherState]:
        """The cipher states (to send with, to receive with) after the last message."""
        if not self.is_finished:
            raise ValueError("the handshake has messages left: it cannot be split yet")
        first, second = self._symmetric.split()
        return (first, second) if self._initiator else (second, first)

    def _next_tokens(self, *, writing: bool) -> tuple[Token, ...]:
        initiators_turn = self._turn % 2 == 0
        if self.is_finished or (initiators_turn == self._initiator) != writing:
            verb = "write" if writing else "read"
            raise ValueError(f"handshake message {self._turn + 1} is not this side's to {verb}")
        self._turn += 1
        return PATTERN_XX[self._turn - 1]

    def _mix_exchange(self, token: Token) -> None:
        """Mix one Diffie-Hellman result: the first letter names the initiator's key, the second the responder's."""
        mine, theirs = (token[0], token[1]) if self._initiator else (token[1], token[0])
        private = self._ephemeral if mine == "e" else self._static
        public = self._remote_ephemeral if theirs == "e" else self.remote_static
        assert public is not None, "the pattern sends every key before it is used"
        self._symmetric.mix_key(private.exchange(public))


def _cut(data: bytes, size: int) -> tuple[bytes, bytes]:
    if len(data) < size:
        raise NoiseError(f"a handshake message ends {size - len(data)} bytes early")
    return data[:size], data[size:]


def _hkdf2(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """Section 4.3, two outputs."""
    key = hmac.digest(chaining_key, material, "sha256")
    first = hmac.digest(key, b"\x01", "sha256")
    return first, hmac.digest(key, first + b"\x02", "sha256")
