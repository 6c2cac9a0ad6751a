"""Sums of multiples of ristretto255 elements, which is all that commitments and range proofs need of the group.

Two of them with equal results: plain Python, and libsodium by the package rbcl (the extra `proofs`), where it is there.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, Protocol

from crypto.ristretto import (
    IDENTITY_ENCODED,
    ORDER,
    Cached,
    Flat,
    Point,
    add_cached,
    decode,
    double,
    encode,
    flatten,
    sum_of_places,
)
from crypto.ristretto import cache as prepare_point

SCALAR_BITS: Final = 253
_WIDTH: Final = 5
"""Signed digits of this many bits for a point that comes once: eight multiples are made of it."""
_KEPT_WIDTH: Final = 7
"""And for a generator, of which 32 multiples are kept: making more takes longer than they save in a proof or two, which
is all that a worker process makes."""
_OFTEN_WIDTH: Final = 9
"""And for a generator in a process that goes on for long: 128 multiples, which take 50 ms once and save a tenth."""


class Group(Protocol):
    """Elements go in and come out encoded."""

    def combine(self, scalars: Sequence[int], points: Sequence[bytes]) -> bytes:
        """The sum of scalars times points; RistrettoError when one encodes nothing."""
        ...  # pragma: no cover

    def keep(self, points: Iterable[bytes], *, often: bool = False) -> None:
        """These will come again; `often`: for as long as the process lives."""
        ...  # pragma: no cover


class PythonGroup:
    """Straus' method (1964) on signed sliding digits: one run of doublings for all the points together."""

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[int, Sequence[Flat]]] = {}

    def keep(self, points: Iterable[bytes], *, often: bool = False) -> None:
        """Prepare the multiples of these once: about 10 KiB each, or 47 KiB."""
        width = _OFTEN_WIDTH if often else _KEPT_WIDTH
        for point in points:
            if self._kept.get(point, (0,))[0] < width:
                multiples = flatten(_odd_multiples(decode(point), 1 << (width - 2)))
                self._kept[point] = width, multiples + [(plus, minus, -t) for minus, plus, t in reversed(multiples)]

    def combine(self, scalars: Sequence[int], points: Sequence[bytes]) -> bytes:
        """See `Group`."""
        places: list[tuple[list[Flat], list[Cached]]] = [([], []) for _ in range(SCALAR_BITS + 1)]
        for scalar, point in zip(scalars, points, strict=True):
            kept = self._kept.get(point)
            if kept is not None:
                width, flat = kept
                for place, at in _digits(scalar % ORDER, width):
                    places[place][0].append(flat[at])
            else:
                multiples = _both_signs(decode(point))
                for place, at in _digits(scalar % ORDER, _WIDTH):
                    places[place][1].append(multiples[at])
        return encode(sum_of_places(reversed(places)))


class SodiumGroup:
    """libsodium's group. ImportError without the package rbcl."""

    def __init__(self) -> None:
        import rbcl  # only with the extra `proofs`

        self._rbcl = rbcl

    def keep(self, points: Iterable[bytes], *, often: bool = False) -> None:
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


def _odd_multiples(point: Point, count: int) -> list[Point]:
    """The point times 1, 3, 5, ..."""
    made, step = [point], prepare_point(double(point))
    for _ in range(count - 1):
        made.append(add_cached(made[-1], step))
    return made


def _both_signs(point: Point) -> list[Cached]:
    """The point times 1, 3, ..., -3, -1, prepared: the multiple of an odd digit d is the one at d >> 1."""
    multiples = [prepare_point(multiple) for multiple in _odd_multiples(point, 1 << (_WIDTH - 2))]
    return multiples + [(plus, minus, -t, z) for minus, plus, t, z in reversed(multiples)]


def _digits(scalar: int, width: int) -> Iterable[tuple[int, int]]:
    """The odd signed digits d below 2^(width-1) that add up to `scalar` (non-adjacent form): place, and d >> 1."""
    place, window, half = 0, (1 << width) - 1, 1 << (width - 1)
    while scalar:
        skip = (scalar & -scalar).bit_length() - 1
        scalar >>= skip
        place += skip
        digit = scalar & window
        if digit >= half:
            digit -= window + 1
        yield place, digit >> 1
        scalar -= digit
