"""Inputs that are a course of events: steps of one operation byte and its payload, each with its length.

    script = step*        step = operation 1 | length of the payload 2, big-endian | payload (msgpack, or nothing)

What does not fit is cut: any bytes are a script.
"""

import struct
from collections.abc import Iterable
from random import Random

from tests.fuzz import trees

MAX_STEPS = 64
_HEAD = struct.Struct(">BH")

Step = tuple[int, bytes]


def encode(steps: Iterable[Step]) -> bytes:
    """The bytes of a script."""
    return b"".join(_HEAD.pack(operation, len(payload)) + payload for operation, payload in steps)


def decode(data: bytes) -> list[Step]:
    """The steps in any bytes, at most MAX_STEPS."""
    steps: list[Step] = []
    at = 0
    while at + _HEAD.size <= len(data) and len(steps) < MAX_STEPS:
        operation, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        steps.append((operation, data[at : at + size]))
        at += size
    return steps


def mutated(rng: Random, data: bytes, other: bytes) -> bytes:
    """One step changed, dropped, repeated, moved, or taken from another script."""
    steps, donor = decode(data), decode(other)
    if not steps:
        return encode(donor)
    at = rng.randrange(len(steps))
    operation, payload = steps[at]
    match rng.randrange(8):
        case 0:
            del steps[at]
        case 1:
            steps.insert(rng.randrange(len(steps) + 1), steps[at])
        case 2:
            steps.insert(rng.randrange(len(steps) + 1), steps.pop(at))
        case 3:
            if donor:
                steps.insert(at, rng.choice(donor))
        case 4:
            steps[at] = (rng.randrange(16), payload)
        case _:
            theirs = rng.choice(donor)[1] if donor else payload
            steps[at] = (operation, trees.mutated(rng, payload, theirs or payload, "msgpack")[:60_000])
    return encode(steps[:MAX_STEPS])
