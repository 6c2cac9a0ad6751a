"""What it costs to check a model's answer, and what that finds: the levels as a decision chooses from them.

A level is made up of single checks (node/verification/bundles.py). Which share of bad answers it finds was measured for
the usual combinations; any other finds at least what the best of its measured parts finds. Good answers that it
refuses are done again, so their share of the local cost is part of what it costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from node.decision.data.model_checks import AS_OF, FOUND, REFUSED, SECONDS, SOURCE
from node.decision.inputs import LocalOption, VerificationOption
from node.decision.reliability import wilson
from node.decision.verification import VerificationConfig
from node.tasks.checks import CheckName
from protocol.specification import Level

UNMEASURED = 0.5
"""Detection of what was never measured."""


@dataclass(frozen=True, slots=True)
class Power:
    """What a combination of checks finds of bad answers and refuses of good ones; `basis` says how that is known."""

    detection: float
    false_alarm: float
    basis: str
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class Grading:
    """What asking a model costs and takes: the judge for its word, or one's own for a part of the work."""

    cost_micro: float
    time_s: float
    charged_micro: float
    """What of the cost somebody else charges."""

    def plus(self, other: "Grading") -> "Grading":
        """Both."""
        charged_micro = self.charged_micro + other.charged_micro
        return Grading(self.cost_micro + other.cost_micro, self.time_s + other.time_s, charged_micro)


FREE = Grading(0.0, 0.0, 0.0)


def power_of(checks: Sequence[CheckName]) -> Power:
    """What these checks find together."""
    names = tuple(sorted(set(checks) - {"form"}))
    if not names:
        # No audit is worth anything that looks at the form alone.
        return Power(0.0, 0.0, "anybody can fill in a form")
    if names in FOUND:
        return _measured(names)
    parts = [_measured((name,)) for name in names if (name,) in FOUND]
    if not parts:
        return Power(UNMEASURED, 0.0, "assumed", assumed=True)
    best = max(parts, key=lambda part: part.detection)
    alarm = min(1.0, sum(part.false_alarm for part in parts))
    return Power(best.detection, alarm, f"at least what its best part finds: {best.basis}")


def seconds_of(checks: Sequence[CheckName]) -> float:
    """This machine's time for them, without a judge's and a second answer's."""
    return sum(SECONDS.get(name, 0.0) for name in checks)


def option_of(
    skill: str,
    level: Level,
    checks: tuple[CheckName, ...],
    *,
    own_micro: float,
    own_s: float,
    asked: Grading,
    price_share: float,
    local: LocalOption,
    config: VerificationConfig,
) -> VerificationOption:
    """A level made up of `checks`. `own_micro` and `own_s` are what they take of this machine, `asked` is what the
    models take that they ask; the owner's own measurements of the skill come first."""
    power = power_of(checks)
    detection, basis, assumed = power.detection, power.basis, power.assumed
    if (own := config.measured.get(skill, {}).get(level)) is not None:
        detection, basis, assumed = own.detection, "as configured", own.assumed
    redone_micro = power.false_alarm * local.cost.total_micro if local.feasible else 0.0
    return VerificationOption(
        level=level,
        cost_micro=own_micro + asked.cost_micro + redone_micro,
        time_s=own_s + asked.time_s,
        price_share=price_share,
        detection=detection,
        assumed=assumed,
        checks=checks,
        charged_micro=asked.charged_micro,
        basis=basis,
    )


def _measured(names: tuple[str, ...]) -> Power:
    found, bad = FOUND.get(names, (0, 0))
    refused, good = REFUSED.get(names, (0, 0))
    low, high = wilson(found, bad - found)
    # Laplace's rule: what was never missed in so many trials is not thereby never missed.
    basis = f"{low:.2f} to {high:.2f}, {found} of {bad} measured on {AS_OF} with {SOURCE}"
    return Power((found + 1) / (bad + 2), (refused + 1) / (good + 2), basis)
