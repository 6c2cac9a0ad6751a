"""What an attestation asks for: how large, from which seed, and what a challenge picks. No figure here is the prover's.

The seed of the work depends on who works for whom in which session, so that one machine that answers for two identities
has twice the work, and nothing can be computed before the verifier has drawn its part.
"""

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from crypto.hashing import tagged_hash

SIZES: Final = (256, 512, 1024, 2048, 4096)
"""Of a matrix. Products stay below 2^24, exact in single precision: 4096 * 32 * 64 = 2^23."""
MAX_ROUNDS: Final = 16
MEMORY_MIB: Final = (0, 16, 32, 64, 128, 256, 512, 1024)
SEED_BYTES: Final = 32
_OPENED_ROWS: Final = 12
_OPENED_ROWS_LARGE: Final = 6
"""Of each round; 96 rows of 8 rounds miss one who skips a tenth of the rows once in 25,000 times. Fewer of the largest,
so that an answer stays within one message."""


class AttestationError(Exception):
    """An attestation that does not hold, or cannot be asked for; the text says why."""


@dataclass(frozen=True, slots=True)
class Work:
    """`rounds` products of `size` by `size` matrices, then `memory_mib` to be filled; one of both may be nothing."""

    size: int
    rounds: int
    memory_mib: int = 0

    def __post_init__(self) -> None:
        if self.size not in SIZES or not 1 <= self.rounds <= MAX_ROUNDS or self.memory_mib not in MEMORY_MIB:
            raise AttestationError(
                f"an attestation is of {SIZES} rows, 1 to {MAX_ROUNDS} rounds and {MEMORY_MIB} MiB, "
                f"not {self.size}, {self.rounds}, {self.memory_mib}"
            )

    @property
    def operations(self) -> int:
        """Multiplications and additions of the products: what a rate is counted in."""
        return 2 * self.size**3 * self.rounds

    @property
    def opened_rows(self) -> int:
        """How many rows of each round are opened."""
        return _OPENED_ROWS if self.size <= 2048 else _OPENED_ROWS_LARGE


def work_seed(drawn: bytes, prover: bytes, verifier: bytes, session_hash: bytes) -> bytes:
    """The seed of one attestation, from the 32 bytes that the verifier drew for it."""
    return tagged_hash(b"attestation", drawn, prover, verifier, session_hash)


def stream(label: bytes, seed: bytes, size: int, *, block: int = 0) -> bytes:
    """`size` bytes of AES-256-CTR under a key from label and seed, from its 16-byte block number `block` on."""
    key = tagged_hash(b"attestation/" + label, seed)
    encryptor = Cipher(AES(key), CTR(block.to_bytes(16, "big"))).encryptor()
    return encryptor.update(bytes(size))


def picks(label: bytes, challenge: bytes, count: int, limit: int) -> list[int]:
    """`count` numbers below `limit`, a power of two, from the verifier's 32 bytes."""
    drawn = stream(label, challenge, 4 * count)
    return [int.from_bytes(drawn[at : at + 4], "big") % limit for at in range(0, len(drawn), 4)]


def rate_gops(work: Work, elapsed_s: float, least_rtt_s: float) -> float:
    """Billions of operations a second that the prover has at least, by the verifier's clock alone."""
    return work.operations / max(elapsed_s - least_rtt_s, 1e-6) / 1e9
