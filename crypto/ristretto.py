"""The group ristretto255 (RFC 9496) in plain Python: of prime order, with exactly one encoding for each element.

Section numbers below are the RFC's. Elements are points of edwards25519 in extended coordinates (Hisil et al. 2008),
(X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z; several of them stand for one element, so compare encodings.

Not in constant time: who watches the clock of a prover learns something about what it proves. We prove in a process of
its own and answer over a network.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

P: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""Of the group, a prime: scalars are integers modulo this."""
ENCODED_BYTES: Final = 32
UNIFORM_BYTES: Final = 64
IDENTITY_ENCODED: Final = bytes(ENCODED_BYTES)

Point = tuple[int, int, int, int]

IDENTITY: Final[Point] = (0, 1, 1, 0)

# Section 4.1.
_D: Final = -121665 * pow(121666, -1, P) % P
_D2: Final = 2 * _D % P
_SQRT_M1: Final = 19681161376707505956807079304988542015446066515923890162744021073123829784752
_SQRT_AD_MINUS_ONE: Final = 25063068953384623474111414158702152701244531502492656460079210482610430750235
_INVSQRT_A_MINUS_D: Final = 54469307008909316920995813868745141605393597292927456921205312896311721017578
_ONE_MINUS_D_SQ: Final = (1 - _D**2) % P
_D_MINUS_ONE_SQ: Final = (_D - 1) ** 2 % P


class RistrettoError(ValueError):
    """Bytes that encode no element of the group."""


def decode(data: bytes) -> Point:
    """The element that `data` encodes (4.3.1); RistrettoError when there is none."""
    s = int.from_bytes(data, "little")
    if len(data) != ENCODED_BYTES or s >= P or s & 1:
        raise RistrettoError("these bytes are not the encoding of a ristretto255 element")
    ss = s * s % P
    u1, u2 = 1 - ss, 1 + ss
    u2_squared = u2 * u2 % P
    v = (-_D * u1 * u1 - u2_squared) % P
    was_square, inverse = sqrt_ratio(1, v * u2_squared % P)
    den_x = inverse * u2 % P
    x = _absolute(2 * s * den_x % P)
    y = u1 * inverse * den_x * v % P
    t = x * y % P
    if not was_square or t & 1 or y == 0:
        raise RistrettoError("these bytes are not the encoding of a ristretto255 element")
    return x, y, 1, t


def encode(point: Point) -> bytes:
    """The 32 bytes of an element (4.3.2)."""
    x0, y0, z0, t0 = point
    u1 = (z0 + y0) * (z0 - y0) % P
    u2 = x0 * y0 % P
    if not u2:
        return IDENTITY_ENCODED  # what the rest would give; checks end here
    _, inverse = sqrt_ratio(1, u1 * u2 * u2 % P)
    den1, den2 = inverse * u1 % P, inverse * u2 % P
    z_inverse = den1 * den2 * t0 % P
    if t0 * z_inverse % P & 1:
        x, y, den = y0 * _SQRT_M1 % P, x0 * _SQRT_M1 % P, den1 * _INVSQRT_A_MINUS_D % P
    else:
        x, y, den = x0, y0, den2
    if x * z_inverse % P & 1:
        y = -y
    return _absolute(den * (z0 - y) % P).to_bytes(ENCODED_BYTES, "little")


def from_uniform(data: bytes) -> Point:
    """An element from 64 uniform bytes, of which nobody knows a discrete logarithm (4.3.4)."""
    if len(data) != UNIFORM_BYTES:
        raise ValueError(f"an element is derived from {UNIFORM_BYTES} bytes, not {len(data)}")
    first, second = (int.from_bytes(half, "little") & (2**255 - 1) for half in (data[:32], data[32:]))
    return add(_map(first % P), _map(second % P))


def add(one: Point, other: Point) -> Point:
    """The sum of two elements; complete, so that an element may be added to itself."""
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = t1 * _D2 * t2 % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


Cached = tuple[int, int, int, int]
"""A point as `add_cached` wants it: Y - X, Y + X, 2dT, 2Z."""
Flat = tuple[int, int, int]
"""The same of a point with Z = 1, which spares a multiplication in nine at each addition."""


def cache(point: Point) -> Cached:
    """A point prepared to be added often."""
    x, y, z, t = point
    return y - x, y + x, t * _D2 % P, 2 * z


def flatten(points: Sequence[Point]) -> list[Flat]:
    """Points prepared to be added for a long time to come, by one inversion for all of them."""
    flat = []
    for point, inverse in zip(points, inverses([z for _, _, z, _ in points], P), strict=True):
        x, y = point[0] * inverse % P, point[1] * inverse % P
        flat.append((y - x, y + x, x * y * _D2 % P))
    return flat


def add_cached(point: Point, cached: Cached) -> Point:
    """`add` of a prepared point: a ninth cheaper."""
    x, y, z, t = point
    minus, plus, t2, z2 = cached
    a, b = (y - x) * minus % P, (y + x) * plus % P
    c, d = t * t2 % P, z * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def sum_of_places(places: Iterable[tuple[Iterable[Flat], Iterable[Cached]]]) -> Point:
    """What is to be added at each binary place, the highest first: twice what is above it, and all of its own.

    In one loop without calls, in which nearly all of the time of a proof is spent.
    """
    x, y, z, t = IDENTITY
    for flat, cached in places:
        a, b = x * x % P, y * y % P
        h, g = a + b, a - b
        e = h - (x + y) ** 2 % P
        f = 2 * z * z % P + g
        x, y, z, t = e * f % P, g * h % P, f * g % P, e * h % P
        for minus, plus, t2 in flat:
            a, b, c, d = (y - x) * minus % P, (y + x) * plus % P, t * t2 % P, z + z
            e, f, g, h = b - a, d - c, d + c, b + a
            x, y, z, t = e * f % P, g * h % P, f * g % P, e * h % P
        for minus, plus, t2, z2 in cached:
            a, b, c, d = (y - x) * minus % P, (y + x) * plus % P, t * t2 % P, z * z2 % P
            e, f, g, h = b - a, d - c, d + c, b + a
            x, y, z, t = e * f % P, g * h % P, f * g % P, e * h % P
    return x, y, z, t


def double(point: Point) -> Point:
    """Twice an element."""
    x, y, z, _ = point
    a, b = x * x % P, y * y % P
    h, g = a + b, a - b
    e = h - (x + y) ** 2 % P
    f = 2 * z * z % P + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def _absolute(value: int) -> int:
    return P - value if value & 1 else value


def sqrt_ratio(u: int, v: int) -> tuple[bool, int]:
    """Whether u/v is a square, and the non-negative root of u/v, or of sqrt(-1) * u/v (section 4.2)."""
    v3 = v * v * v % P
    r = u * v3 * _to_p58(u * v3 * v3 * v % P) % P
    check = v * r * r % P
    u %= P
    if check in ((-u) % P, -u * _SQRT_M1 % P):
        r = r * _SQRT_M1 % P
    return check in (u, (-u) % P), _absolute(r)


def _to_p58(x: int) -> int:
    """x to the power (P - 5) / 8 = 2^252 - 3, by 11 products and the squarings, a sixth faster than `pow`.

    A name says how many ones the exponent so far has in binary (Bernstein 2006).
    """
    two = x * x % P
    nine = _squared(two, 2) * x % P
    eleven = nine * two % P
    ones5 = eleven * eleven % P * nine % P
    ones10 = _squared(ones5, 5) * ones5 % P
    ones20 = _squared(ones10, 10) * ones10 % P
    ones40 = _squared(ones20, 20) * ones20 % P
    ones50 = _squared(ones40, 10) * ones10 % P
    ones100 = _squared(ones50, 50) * ones50 % P
    ones200 = _squared(ones100, 100) * ones100 % P
    return _squared(_squared(ones200, 50) * ones50 % P, 2) * x % P


def _squared(x: int, times: int) -> int:
    for _ in range(times):
        x = x * x % P
    return x


def inverses(numbers: Sequence[int], modulus: int) -> list[int]:
    """Of all of them by one inversion (Montgomery 1987); none of them may be 0."""
    before = [*accumulate(numbers, lambda product, number: product * number % modulus, initial=1)]
    left, made = pow(before[-1], -1, modulus), []
    for number, product in zip(reversed(numbers), reversed(before[:-1]), strict=True):
        made.append(left * product % modulus)
        left = left * number % modulus
    return made[::-1]


def _map(t: int) -> Point:
    """MAP of section 4.3.4: from a field element to the curve (Elligator)."""
    r = _SQRT_M1 * t * t % P
    u = (r + 1) * _ONE_MINUS_D_SQ % P
    v = (-1 - r * _D) * (r + _D) % P
    was_square, s = sqrt_ratio(u, v)
    c = P - 1
    if not was_square:
        s, c = -_absolute(s * t % P), r
    n = (c * (r - 1) * _D_MINUS_ONE_SQ - v) % P
    w0, w1, w2, w3 = 2 * s * v % P, n * _SQRT_AD_MINUS_ONE % P, 1 - s * s, 1 + s * s
    return w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P
