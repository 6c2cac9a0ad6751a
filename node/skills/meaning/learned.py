"""Where a seller's skill really lies: what it was seen to do well moves its point, what it failed at pushes it off.

A seller's text says what it claims. Each verified outcome adds a small step of its request's vector, towards it when
the work was good and away when it was bad (Rocchio 1971, one step at a time). The whole is bounded: no run of cheap
successes takes a seller further than `MOST_SHARE` of the length of its own text.
"""

from collections.abc import Sequence

from node.skills.meaning.vector import DIMENSIONS, Vector, dot

UNIT = 1024
"""Length that every text's vector is brought to before it is added: long texts teach no more than short ones."""
STEP_GOOD = 0.1
STEP_BAD = 0.2
"""What one outcome moves, in `UNIT`s: a failure says more than a success, which the claim foretold."""
MOST_SHARE = 0.5
FADE = 0.98
"""What is kept of older steps with each new one: after 35 outcomes half is left."""
NOTHING: Vector = (0,) * DIMENSIONS


def scaled(vector: Sequence[int], length: float) -> Vector:
    """The vector brought to a length, rounded to whole numbers; zero stays zero."""
    squares = dot(vector, vector)
    if not squares:
        return tuple(vector)
    factor = length / squares**0.5
    return tuple(round(value * factor) for value in vector)


def learned(offset: Vector, request: Vector, *, good: bool) -> Vector:
    """The offset after one more verified outcome; never longer than half a unit."""
    step = scaled(request, UNIT * (STEP_GOOD if good else -STEP_BAD))
    moved = tuple(round(old * FADE) + new for old, new in zip(offset, step, strict=True))
    most = UNIT * MOST_SHARE
    return moved if dot(moved, moved) <= most * most else scaled(moved, most)


def placed(text: Vector, offset: Vector) -> Vector:
    """A seller's text with what was learned of it."""
    return tuple(value + moved for value, moved in zip(scaled(text, UNIT), offset, strict=True))
