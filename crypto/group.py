"""Sums of multiples of ristretto255 elements, which is all that commitments and range proofs need of the group.

Two of them with equal results: plain Python, and libsodium by the package rbcl (the extra `proofs`), where it is there.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, Protocol

from crypto.ristretto import (
    IDENTITY,
    IDENTITY_ENCODED,
    ORDER,
    Cached,
    Point,
    add_all,
    add_cached,
    decode,
    double,
    encode,
    negate_cached,
)
from crypto.ristretto import cache as prepare_point

SCALAR_BITS: Final = 253
_WIDTH: Final = 5
"""Signed digits of this many bits for a point that comes once: eight multiples are made of it."""
_KEPT_WIDTH: Final = 7
"""And for a generator, whose 32 multiples are kept."""


class Group(Protocol):
    """Elements go in and come out encoded."""

    def combine(self, scalars: Sequence[int], points: Sequence[bytes]) -> bytes:
        """The sum of scalars times points; RistrettoError when one encodes nothing."""
        ...  # pragma: no cover

    def keep(self, points: Iterable[bytes]) -> None:
        """These will come again and again."""
        ...  # pragma: no cover


class PythonGroup:
    """Straus' method (1964) on signed sliding digits: one run of doublings for all the points together."""

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[Cached, ...]] = {}

    def keep(self, points: Iterable[bytes]) -> None:
        """Prepare the multiples of these once: about 6 KiB each."""
        for point in points:
            if point not in self._kept:
                self._kept[point] = _odd_multiples(decode(point), 1 << (_KEPT_WIDTH - 2))

    def combine(self, scalars: Sequence[int], points: Sequence[bytes]) -> bytes:
        """See `Group`."""
        additions: list[list[Cached]] = [[] for _ in range(SCALAR_BITS + 1)]
        for scalar, point in zip(scalars, points, strict=True):
            multiples, width = self._kept.get(point), _KEPT_WIDTH
            if multiples is None:
                multiples, width = _odd_multiples(decode(point), 1 << (_WIDTH - 2)), _WIDTH
            for place, digit in _digits(scalar % ORDER, width):
                multiple = multiples[abs(digit) >> 1]
                additions[place].append(multiple if digit > 0 else negate_cached(multiple))
        total = IDENTITY
        for addends in reversed(additions):
            total = add_all(double(total), addends)
        return encode(total)


class SodiumGroup:
    """libsodium's group. ImportError without the package rbcl."""

    def __init__(self) -> None:
        import rbcl  # only with the extra `proofs`

        self._rbcl = rbcl

    def keep(self, points: Iterable[bytes]) -> None:
        """Nothing to prepare."""

    def combine(self, scalars: Sequence[int], points: Sequence[bytes]) -> bytes:
        """See `Group`."""
        total = IDENTITY_ENCODED
        for scalar, point in zip(scalars, points, strict=True):
            part = self._multiple(scalar % ORDER, point)
            if part != IDENTITY_ENCODED:
                total = bytes(self._rbcl.crypto_core_ristretto255_add(total, part))
        return total

    def _multiple(self, scalar: int, point: bytes) -> bytes:
        if scalar < 2 or point == IDENTITY_ENCODED:
            if not self._rbcl.crypto_core_ristretto255_is_valid_point(point):
                decode(point)  # says what is wrong
            return point if scalar else IDENTITY_ENCODED
        try:
            return bytes(self._rbcl.crypto_scalarmult_ristretto255(scalar.to_bytes(32, "little"), point))
        except (RuntimeError, ValueError):
            decode(point)
            raise


@cache
def fastest_group() -> Group:
    """libsodium where the extra `proofs` is installed, plain Python otherwise; one for the whole process."""
    try:
        return SodiumGroup()
    except ImportError:
        return PythonGroup()


def _odd_multiples(point: Point, count: int) -> tuple[Cached, ...]:
    """The point times 1, 3, 5, ..., prepared to be added."""
    made, step = [point], prepare_point(double(point))
    for _ in range(count - 1):
        made.append(add_cached(made[-1], step))
    return tuple(prepare_point(multiple) for multiple in made)


def _digits(scalar: int, width: int) -> Iterable[tuple[int, int]]:
    """Place and value of the odd signed digits below 2^(width-1) that add up to `scalar` (non-adjacent form)."""
    place, window, half = 0, (1 << width) - 1, 1 << (width - 1)
    while scalar:
        skip = (scalar & -scalar).bit_length() - 1
        scalar >>= skip
        place += skip
        digit = scalar & window
        if digit >= half:
            digit -= window + 1
        yield place, digit
        scalar -= digit
