"""The task specification of COALESCE section III.D: what a client asks for, as it travels to a contractor.

A specification describes the input by type, size and digest; the content itself travels only with the award.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from protocol.fields import Hash32, Label, MediaType, Micro, Millis, Name, Ppm, Size

Privacy = Literal["public", "internal", "confidential", "secret"]
PRIVACY_LEVELS: tuple[Privacy, ...] = ("public", "internal", "confidential", "secret")
Effort = Literal["full", "cheap", "cheapest"]
EFFORTS: tuple[Effort, ...] = ("full", "cheap", "cheapest")
Level = Literal["none", "cheap", "full", "redundant"]
LEVELS: tuple[Level, ...] = ("none", "cheap", "full", "redundant")


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Resources(_Part, frozen=True, kw_only=True):
    """What the work needs: a computational estimate, memory, libraries or tools by name."""

    flop: Annotated[int, Meta(ge=0, le=2**62)] = 0
    memory_bytes: Size = 0
    libraries: Annotated[tuple[Name, ...], Meta(max_length=16)] = ()


class InputDescriptor(_Part, frozen=True, kw_only=True):
    """The input by type, size and digest. `work_units` is the skill's own size measure (its `size` function)."""

    media_type: MediaType
    size_bytes: Size
    sha256: Hash32
    work_units: Annotated[int, Meta(ge=0, le=2**53)] = 0


class OutputRequirement(_Part, frozen=True, kw_only=True):
    """What must come back. An empty media type leaves it to the skill."""

    media_type: Annotated[str, Meta(max_length=121)] = ""
    max_bytes: Size = 16 * 2**20


class VerificationCriteria(_Part, frozen=True, kw_only=True):
    """How the client will judge: the least level it insists on, and the least score it accepts."""

    least_level: Level = "none"
    min_score_ppm: Ppm = 500_000


class Constraints(_Part, frozen=True, kw_only=True):
    """Hard limits. `deadline_ms` runs from the moment the specification is received; regions empty = anywhere."""

    deadline_ms: Millis
    budget_micro: Micro
    privacy: Privacy = "internal"
    regions: Annotated[tuple[Name, ...], Meta(max_length=16)] = ()


class Specification(_Part, frozen=True, kw_only=True):
    """One task, complete: skills, resources, input, output, verification, constraints (COALESCE III.D)."""

    skills: Annotated[tuple[Label, ...], Meta(min_length=1, max_length=8)]
    effort: Effort = "full"
    resources: Resources = Resources()
    input: InputDescriptor
    output: OutputRequirement = OutputRequirement()
    verification: VerificationCriteria = VerificationCriteria()
    constraints: Constraints

    @property
    def skill(self) -> str:
        """The label that sellers are looked up by: the first required skill."""
        return self.skills[0]
