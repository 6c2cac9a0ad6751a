"""Vectors of whole numbers and the angle between them."""

import math
from collections.abc import Sequence
from operator import mul

Buffer = bytes | memoryview
DIMENSIONS = 128
Vector = tuple[int, ...]


def dot(one: Sequence[int], other: Sequence[int]) -> int:
    """The inner product, exact."""
    return sum(map(mul, one, other))


def cosine(one: Sequence[int], other: Sequence[int]) -> float:
    """From -1 to 1, and 0 where one of them is all zero: equal to the last bit wherever it is computed."""
    return ratio(dot(one, other), dot(one, one) * dot(other, other))


def ratio(product: int, squares: int) -> float:
    """The cosine from an inner product and the product of both squared lengths.

    Whole numbers up to here, and IEEE 754 fixes how roots and quotients are rounded.
    """
    return max(-1.0, min(1.0, product / math.sqrt(squares))) if squares else 0.0
