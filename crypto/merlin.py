"""Merlin transcripts: turn a proof between two parties into one that anybody can check later (de Valence 2018).

Both sides append what was said, in order and with labels, and draw challenges that depend on all of it. Merlin 1.0 is
the part AD, META-AD and PRF of STROBE-128 (Hamburg 2017, v1.0.2) over Keccak-f[1600].
"""

from typing import Final

from crypto.keccak import STATE_BYTES, keccak_f
from crypto.ristretto import ORDER

_RATE: Final = 166
_INNER, _A, _C, _META = 1, 2, 4, 16


class Transcript:
    """One conversation so far. `label` names the protocol."""

    __slots__ = ("_begin", "_flags", "_position", "_state")

    def __init__(self, label: bytes) -> None:
        self._state = bytearray(STATE_BYTES)
        self._state[:18] = bytes([1, _RATE + 2, 1, 0, 1, 96]) + b"STROBEv1.0.2"
        self._state[:] = keccak_f(self._state)
        self._position = self._begin = self._flags = 0
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
            begin = self._position
            end = min(_RATE, begin + size - len(drawn))
            drawn += self._state[begin:end]
            self._state[begin:end] = bytes(end - begin)
            self._move_to(end)
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
        before, self._begin = self._begin, self._position + 1
        self._absorb(bytes([before, flags]))
        if flags & _C and self._position:
            self._permute()

    def _absorb(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            begin = self._position
            end = min(_RATE, begin + len(data) - at)
            part, state = data[at : at + end - begin], self._state
            mixed = int.from_bytes(part, "little") ^ int.from_bytes(state[begin:end], "little")
            state[begin:end] = mixed.to_bytes(end - begin, "little")
            at += end - begin
            self._move_to(end)

    def _move_to(self, position: int) -> None:
        self._position = position
        if position == _RATE:
            self._permute()

    def _permute(self) -> None:
        self._state[self._position] ^= self._begin
        self._state[self._position + 1] ^= 0x04
        self._state[_RATE + 1] ^= 0x80
        self._state[:] = keccak_f(self._state)
        self._position = self._begin = 0
