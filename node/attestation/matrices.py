"""The matrices of the benchmark, exact on every machine: small integers in single precision, whatever multiplies them.

    X_0 from AES-CTR(seed), entries -64 to 63       A from AES-CTR(seed), entries -32 to 31
    Y_k = A X_(k-1), below 2^24 and therefore exact  X_k = phi(Y_k), entries -64 to 63

phi keeps 7 bits and is not linear, so that no product of several As helps and round k cannot begin before round k-1 has
ended. Every entry is drawn from a cipher: in a matrix that repeats (a Hankel matrix, prng(i + j)), a product takes n^2
steps.
"""

from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from node.attestation.work import stream

Bytes = NDArray[np.uint8]
Small = NDArray[np.int8]
Whole = NDArray[np.int32]

ROW_BYTES: Final = 3
"""Of one entry of Y in a committed row: little-endian, two's complement."""


def factor(seed: bytes, size: int) -> Small:
    """A, of shape (size, size)."""
    return _entries(b"factor", seed, size, 64)


def start(seed: bytes, size: int) -> Small:
    """X_0, of shape (size, size)."""
    return _entries(b"start", seed, size, 128)


def weights(challenge: bytes, size: int) -> NDArray[np.float64]:
    """r of Freivalds' check: numbers below 2^16, so that all that is made of them stays below 2^53."""
    drawn = np.frombuffer(stream(b"weights", challenge, 2 * size), dtype="<u2")
    return drawn.astype(np.float64)


def phi(y: Any) -> Any:
    """7 bits of every entry of an integer array or tensor, -64 to 63: what goes into the next round."""
    return ((y ^ (y >> 7) ^ (y >> 14)) & 127) - 64


def encode_rows(y: Whole) -> list[bytes]:
    """Every row of Y as it is committed to."""
    size = y.shape[0]
    packed = np.ascontiguousarray(y, dtype="<i4").view(np.uint8).reshape(size, size, 4)[:, :, :ROW_BYTES]
    data = np.ascontiguousarray(packed).reshape(size, size * ROW_BYTES)
    return [row.tobytes() for row in data]


def decode_row(data: bytes, size: int) -> Whole:
    """A row of Y, of shape (size,), from `ROW_BYTES * size` bytes."""
    packed = np.frombuffer(data, dtype=np.uint8).reshape(size, ROW_BYTES).astype(np.int32)
    value = packed[:, 0] | packed[:, 1] << 8 | packed[:, 2] << 16
    return np.asarray((value ^ 1 << 23) - (1 << 23), dtype=np.int32)


class Engine(Protocol):
    """What multiplies. Arrays are its own between `load` and `fetch`."""

    name: str

    def load(self, small: Small) -> Any:
        """A matrix, ready to be multiplied."""
        ...  # pragma: no cover

    def multiply(self, a: Any, x: Any) -> tuple[Whole, Small, Any]:
        """Y = A X and X' = phi(Y) for us, and X' again, ready for the next round."""
        ...  # pragma: no cover


class NumpyEngine:
    """The processor, through numpy's BLAS."""

    name = "numpy"

    def load(self, small: Small) -> NDArray[np.float32]:
        """See `Engine`."""
        return small.astype(np.float32)

    def multiply(self, a: NDArray[np.float32], x: NDArray[np.float32]) -> tuple[Whole, Small, NDArray[np.float32]]:
        """See `Engine`."""
        y = (a @ x).astype(np.int32)
        small = phi(y).astype(np.int8)
        return y, small, small.astype(np.float32)


class TorchEngine:
    """A GPU, through torch. ImportError where torch is not installed or sees none."""

    def __init__(self) -> None:
        import torch  # type: ignore[import-not-found, unused-ignore]  # only where the owner has it; it takes seconds to load

        if not torch.cuda.is_available():
            raise ImportError("torch sees no GPU")
        self._torch = torch
        self.name = f"torch on {torch.cuda.get_device_name()}"

    def load(self, small: Small) -> Any:
        """See `Engine`."""
        return self._torch.from_numpy(small).to("cuda").to(self._torch.float32)

    def multiply(self, a: Any, x: Any) -> tuple[Whole, Small, Any]:
        """See `Engine`. TensorFloat-32 keeps 10 bits of each entry, and ours have 7: it may be on."""
        y = (a @ x).to(self._torch.int32)
        small = phi(y).to(self._torch.int8)
        return y.cpu().numpy(), small.cpu().numpy(), small.to(self._torch.float32)


def fastest_engine() -> Engine:
    """The GPU that torch sees, or the processor."""
    try:
        return TorchEngine()
    except ImportError:
        return NumpyEngine()


def _entries(label: bytes, seed: bytes, size: int, span: int) -> Small:
    drawn = np.frombuffer(stream(label, seed, size * size), dtype=np.uint8)
    return ((drawn & (span - 1)).astype(np.int16) - span // 2).astype(np.int8).reshape(size, size)
