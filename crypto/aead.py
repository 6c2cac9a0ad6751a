"""Sealing a small secret with a passphrase: Argon2id (RFC 9106) makes the key, AES-256-GCM seals.

    blob = "CSL1" ‖ memory in KiB (4) ‖ iterations (4) ‖ lanes (1) ‖ salt (16) ‖ nonce (12) ‖ ciphertext and tag

All numbers big-endian. Everything before the ciphertext is authenticated with it.
"""

import struct
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

ENTROPY_BYTES: Final = 28
"""What `seal` needs: 16 bytes of salt, 12 of nonce."""
_SALT_BYTES: Final = 16
_MAGIC: Final = b"CSL1"
_HEAD: Final = struct.Struct(">4sIIB16s12s")
_KEY_BYTES: Final = 32
MAX_MEMORY_KIB: Final = 2**20
"""1 GiB. A blob may not make its reader spend more, nor more than 64 iterations or 16 lanes."""
MAX_ITERATIONS: Final = 64
MAX_LANES: Final = 16


class SealError(Exception):
    """A blob does not open: another passphrase, altered bytes, or not such a blob at all."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess costs. Default: RFC 9106, 4, second recommended option; 0.3 s and 64 MiB on one 2020s core."""

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 4

    def check(self) -> None:
        """SealError when it is outside what this program computes."""
        if not (
            1 <= self.lanes <= MAX_LANES
            and 1 <= self.iterations <= MAX_ITERATIONS
            and 8 * self.lanes <= self.memory_kib <= MAX_MEMORY_KIB
        ):
            raise SealError(
                f"Argon2id with {self.memory_kib} KiB, {self.iterations} iterations and {self.lanes} lanes is outside "
                f"the limits of {MAX_MEMORY_KIB} KiB, {MAX_ITERATIONS} and {MAX_LANES}"
            )


def seal(secret: bytes, passphrase: str, entropy: bytes, cost: Cost | None = None) -> bytes:
    """The blob that opens with `passphrase`. `entropy` is 28 fresh random bytes. Takes a third of a second."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"sealing needs {ENTROPY_BYTES} random bytes, not {len(entropy)}")
    cost = cost or Cost()
    cost.check()
    salt, nonce = entropy[:_SALT_BYTES], entropy[_SALT_BYTES:]
    head = _HEAD.pack(_MAGIC, cost.memory_kib, cost.iterations, cost.lanes, salt, nonce)
    return head + AESGCM(_key(passphrase, salt, cost)).encrypt(nonce, secret, head)


def unseal(blob: bytes, passphrase: str) -> bytes:
    """The secret; SealError when the passphrase is another or the blob is damaged."""
    if len(blob) < _HEAD.size or not blob.startswith(_MAGIC):
        raise SealError("these bytes were not sealed with a passphrase by this program")
    _, memory_kib, iterations, lanes, salt, nonce = _HEAD.unpack_from(blob)
    cost = Cost(memory_kib, iterations, lanes)
    cost.check()
    try:
        return AESGCM(_key(passphrase, salt, cost)).decrypt(nonce, blob[_HEAD.size :], blob[: _HEAD.size])
    except InvalidTag as error:
        raise SealError("the passphrase is another one, or the sealed bytes are damaged") from error


def _key(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    function = Argon2id(
        salt=salt,
        length=_KEY_BYTES,
        iterations=cost.iterations,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    )
    return function.derive(passphrase.encode())
