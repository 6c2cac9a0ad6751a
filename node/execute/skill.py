"""What this node knows about one skill that it can execute."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from node.decision.tokens import Tariff, charge_micro, work_units, worst_usage
from node.tasks.checks import CheckName
from protocol.specification import EFFORTS, Effort, Level

JSON = "application/json"
TEXT = "text/plain"

Progress = Callable[[int, str], None]
"""Receives how far the work is, in ppm, and a short text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """One executable skill.

    `size(input, media_type)` gives work units (`unit` says of what): cheap, pure, an InputError for malformed
    input. It is what predicted time is calibrated on, so it must be about proportional to the work.
    `verification` says what each supported level does. `min_score_ppm` is the least verification score that
    work of each effort should reach: less than that for full effort means that corners were cut.
    """

    label: str
    caption: str
    description: str
    input_media_types: tuple[str, ...]
    output_media_type: str
    size: Callable[[bytes, str], int]
    unit: str
    example: bytes
    example_media_type: str = JSON
    efforts: tuple[Effort, ...] = EFFORTS
    verification: Mapping[Level, str] = field(default_factory=dict)
    min_score_ppm: Mapping[Effort, int] = field(default_factory=dict)
    price_micro: int = 0
    """What the seller asks per `unit`; 0 for builtin skills, whose price follows from measured cost."""
    is_builtin: bool = True
    unit_bytes: int = 0
    """For skills that are measured by length: bytes of input in one unit; 0 = a task is one unit."""
    time_limit_s: float | None = None
    memory_limit_bytes: int | None = None
    """Its owner's own limits on one run, beside the node's; None = the node's alone."""
    slots: int | None = None
    """How many may run at once of a skill that is done elsewhere; None: each run takes one of this node's workers."""
    checks: tuple[CheckName, ...] = ()
    """What a buyer can have checked of its results beside the levels, where that is more than `checkable` says."""
    tariff: Tariff | None = None
    """For what a model does: how its tokens are charged."""
    sent_to: str = ""
    """The host that its input goes to, where that is another machine; empty: the input stays here."""
    charge_micro: int | None = None
    """What its seller is charged for one task by whoever does it elsewhere; None: it costs this machine's time."""
    usual_s: float | None = None
    """What a task is expected to take before any was measured, where its seller says so."""
    other_output_media_types: tuple[str, ...] = ()
    """What a result may be beside `output_media_type`, as its input asks."""

    @property
    def checkable(self) -> tuple[CheckName, ...]:
        """What can be checked one by one: any result has a form and can be made twice; a builtin one can be redone."""
        return self.checks or (("schema", "recompute", "agreement") if self.is_builtin else ("schema", "agreement"))

    def units_of_length(self, input_bytes: int) -> int:
        """Work units of an input of which nothing but the length is known: an upper guess for a builtin skill."""
        if self.tariff is not None:
            return work_units(self.tariff, input_bytes)
        if self.is_builtin:
            return max(1, input_bytes)
        return max(1, -(-input_bytes // self.unit_bytes)) if self.unit_bytes else 1


def worst_micro(skill: Skill, input_bytes: int) -> int:
    """The most that one attempt may be billed at where it is done elsewhere: its reply as long as it may be."""
    if skill.tariff is None or skill.tariff.cost is None:
        return skill.charge_micro or 0
    return math.ceil(charge_micro(skill.tariff.cost, worst_usage(skill.tariff, input_bytes)))
