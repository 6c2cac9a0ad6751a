"""From a request to a Specification (COALESCE section III.D), with each limit checked and named.

Money comes in as micro-dollars and times as seconds; the specification holds integers only.
"""

import hashlib
from dataclasses import dataclass

import msgspec

from node.errors import UsageError
from node.tasks.content import Content
from protocol.packing import pack
from protocol.specification import (
    Constraints,
    Effort,
    InputDescriptor,
    Level,
    OutputRequirement,
    Privacy,
    Resources,
    Specification,
    VerificationCriteria,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the agent asked for besides the input; the defaults are those of `ask` without options."""

    budget_micro: int
    deadline_s: float
    privacy: Privacy = "internal"
    regions: tuple[str, ...] = ()
    effort: Effort = "full"
    least_level: Level = "none"
    min_score_ppm: int | None = None
    """None takes what honest work of the skill reaches at the effort asked for."""
    libraries: tuple[str, ...] = ()
    memory_bytes: int = 0
    max_output_bytes: int = 16 * 2**20


def specify(
    skills: tuple[str, ...], content: Content, work_units: int, wishes: Wishes, *, usual_score_ppm: int
) -> Specification:
    """The specification of one task; UsageError names the field that is out of range."""
    min_score_ppm = usual_score_ppm if wishes.min_score_ppm is None else wishes.min_score_ppm
    if not 0 < wishes.deadline_s < 10**6:
        raise UsageError(f"the deadline is {wishes.deadline_s} s; write a number of seconds above 0 and below 10^6")
    specification = Specification(
        skills=skills,
        effort=wishes.effort,
        resources=Resources(memory_bytes=wishes.memory_bytes, libraries=wishes.libraries),
        input=InputDescriptor(
            media_type=content.media_type,
            size_bytes=len(content.data),
            sha256=hashlib.sha256(content.data).digest(),
            work_units=work_units,
        ),
        output=OutputRequirement(max_bytes=wishes.max_output_bytes),
        verification=VerificationCriteria(least_level=wishes.least_level, min_score_ppm=min_score_ppm),
        constraints=Constraints(
            deadline_ms=max(1, round(wishes.deadline_s * 1000)),
            budget_micro=wishes.budget_micro,
            privacy=wishes.privacy,
            regions=wishes.regions,
        ),
    )
    return _checked(specification)


def _checked(specification: Specification) -> Specification:
    """The same value, after the bounds that a peer would apply to it: better refused here than there."""
    try:
        plain = msgspec.to_builtins(specification, builtin_types=(bytes,))
        return msgspec.convert(plain, Specification, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise UsageError(f"the task cannot be specified: {error}") from error


def encode_specification(specification: Specification) -> bytes:
    """The exact bytes that quotes and receipts commit to."""
    return pack(specification)


def digest(encoded: bytes) -> bytes:
    """SHA-256 of an encoded specification, quote or result: how signed bodies refer to it."""
    return hashlib.sha256(encoded).digest()
