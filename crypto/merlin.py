"""Merlin transcripts: turn a proof between two parties into one that anybody can check later (de Valence 2018).

Both sides append what was said, in order and with labels, and draw challenges that depend on all of it. Merlin 1.0 is
the part AD, META-AD and PRF of STROBE-128 (Hamburg 2017, v1.0.2) over Keccak-f[1600].
"""

from typing import Final

from crypto.keccak import RATE_BYTES, Sponge, fastest_sponge
from crypto.ristretto import ORDER

_RATE: Final = 166
_INNER, _A, _C, _META = 1, 2, 4, 16


class Transcript:
    """One conversation so far. `label` names the protocol."""

    __slots__ = ("_begin", "_block", "_rate", "_sponge")

    def __init__(self, label: bytes, sponge: Sponge | None = None) -> None:
        self._sponge = sponge or fastest_sponge()
        start = bytes([1, RATE_BYTES, 1, 0, 1, 96]) + b"STROBEv1.0.2"
        self._sponge.begin(start.ljust(RATE_BYTES, b"\x00"))
        self._rate = b""
        """What came out of the sponge last: nothing is drawn before the first padded block."""
        self._block = bytearray()
        """What goes in with the next permutation, so far."""
        self._begin = 0
        self._operate(_META | _A, b"Merlin v1.0")
        self.append(b"dom-sep", label)

    def append(self, label: bytes, message: bytes) -> None:
        """Add what was said."""
        self._frame(label, len(message))
        self._operate(_A, message)

    def append_u64(self, label: bytes, number: int) -> None:
        """Add a number of 64 bits."""
        self.append(label, number.to_bytes(8, "little"))

    def append_scalar(self, label: bytes, scalar: int) -> None:
        """Add an integer modulo the group's order."""
        self.append(label, scalar.to_bytes(32, "little"))

    def challenge(self, label: bytes, size: int) -> bytes:
        """Draw `size` bytes that depend on everything so far."""
        self._frame(label, size)
        self._begin_operation(_INNER | _A | _C)
        drawn = b""
        while len(drawn) < size:
            begin = len(self._block)
            part = self._rate[begin : min(_RATE, begin + size - len(drawn))]
            drawn += part
            self._block += part  # what is drawn is wiped from the state: mixed with itself
            self._moved()
        return drawn

    def challenge_scalar(self, label: bytes) -> int:
        """Draw an integer modulo the group's order; the bias of 2^-252 is of no use to anybody."""
        return int.from_bytes(self.challenge(label, 64), "little") % ORDER

    def _frame(self, label: bytes, size: int) -> None:
        self._operate(_META | _A, label)
        self._absorb(size.to_bytes(4, "little"))

    def _operate(self, flags: int, data: bytes) -> None:
        self._begin_operation(flags)
        self._absorb(data)

    def _begin_operation(self, flags: int) -> None:
        before, self._begin = self._begin, len(self._block) + 1
        self._absorb(bytes([before, flags]))
        if flags & _C and self._block:
            self._permute()

    def _absorb(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            part = data[at : at + _RATE - len(self._block)]
            self._block += part
            at += len(part)
            self._moved()

    def _moved(self) -> None:
        if len(self._block) == _RATE:
            self._permute()

    def _permute(self) -> None:
        self._rate = self._sponge.step(bytes(self._block) + bytes([self._begin]))
        self._block.clear()
        self._begin = 0
