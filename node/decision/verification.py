"""The ways to check a result, with what each costs and what it finds.

Which level is worth its cost is not decided here: the engine prices every seller at every level. Its comparison of
a level with `none` comes to the rule "check when (1-q) d (V + P - redo) is above the cost of the check".
Detection probabilities start as assumptions and say so; measured ones come by configuration.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from node.decision.checked import Checked, Probability
from node.decision.inputs import NO_VERIFICATION, VerificationOption
from protocol.fields import Label
from protocol.specification import LEVELS, Level

Share = Annotated[float, Meta(ge=0, le=10)]


class CheckFigures(Checked, frozen=True, kw_only=True):
    """One level's cost and power. Shares are of the work's own local cost and time, or of the seller's price."""

    work_share: Share
    price_share: Share = 0.0
    detection: Probability
    assumed: bool = False
    """A figure that somebody writes into the configuration was measured, unless it says otherwise."""


class VerificationConfig(Checked, frozen=True, kw_only=True):
    """Measured figures by skill label and level; they come before the assumed table."""

    measured: dict[Label, dict[Level, CheckFigures]] = msgspec.field(default_factory=dict)
    canaries: dict[Label, str] = msgspec.field(default_factory=dict)
    """By skill, a file of items with known answers (as for `skills test`), some of which are sent among real orders."""
    canary_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.05
    """How many canaries an order, of skills that have any: a seller that makes up everything is found after 59 orders,
    19 times of 20. They are paid like any order, and that is in the price of accepting work unseen."""

    def canary_share_of(self, skill: str) -> float:
        """c: 0 where there is nothing to send."""
        return self.canary_share if skill in self.canaries else 0.0


ASSUMED: Mapping[Level, CheckFigures] = {
    # The paper's simulator prices checks at $2.50 and $3.80 beside local work of $28; fabricators pass .3 and .05.
    "cheap": CheckFigures(work_share=0.09, detection=0.7, assumed=True),
    "full": CheckFigures(work_share=0.14, detection=0.95, assumed=True),
    # A second seller's result to compare with: two bad ones may agree.
    "redundant": CheckFigures(work_share=0.02, price_share=1.0, detection=0.9, assumed=True),
}
"""For skills of which nothing is known."""

MEASURED_BY_SKILL: Mapping[str, Mapping[Level, CheckFigures]] = {
    # scripts/bench_skills, 24 tasks a skill and effort: the check's CPU share of full-effort work. Work done at a
    # lower effort than asked for was refused 48 times of 48 at both levels; one failure and one success more
    # (Laplace's rule) make that .98. A seller who fabricates with more care than that was not measured.
    "document-analysis": {
        "cheap": CheckFigures(work_share=0.06, detection=0.98),
        "full": CheckFigures(work_share=0.27, detection=0.98),
    },
    "risk": {
        "cheap": CheckFigures(work_share=0.025, detection=0.98),
        "full": CheckFigures(work_share=0.15, detection=0.98),
    },
    "portfolio": {
        "cheap": CheckFigures(work_share=0.18, detection=0.98),
        "full": CheckFigures(work_share=0.2, detection=0.98),
    },
    "sentiment": {
        "cheap": CheckFigures(work_share=0.1, detection=0.98),
        "full": CheckFigures(work_share=0.21, detection=0.98),
    },
}
"""The builtin skills' own checks."""


def figures(skill: str, level: Level, config: VerificationConfig) -> CheckFigures:
    """Cost and power of a check: as configured, else as measured for a builtin skill, else assumed for the level."""
    for table in (config.measured.get(skill, {}), MEASURED_BY_SKILL.get(skill, {}), ASSUMED):
        if level in table:
            return table[level]
    raise ValueError(f"there are no figures for a check at level {level!r}; the levels are {', '.join(LEVELS)}")


def verification_options(
    skill: str,
    supported: Iterable[Level],
    *,
    work_micro: float,
    work_s: float,
    config: VerificationConfig | None = None,
) -> tuple[VerificationOption, ...]:
    """The levels to choose from: accepting unseen, and what the skill's verifier supports, least first.

    `work_micro` and `work_s` are what the work itself costs and takes here.
    """
    chosen = set(supported) - {"none"}
    chosen_config = config or VerificationConfig()
    share = chosen_config.canary_share_of(skill)
    options = [VerificationOption(level="none", price_share=share, assumed=False) if share else NO_VERIFICATION]
    for level in LEVELS:
        if level in chosen:
            found = figures(skill, level, chosen_config)
            options.append(
                VerificationOption(
                    level=level,
                    cost_micro=found.work_share * work_micro,
                    time_s=found.work_share * work_s,
                    price_share=found.price_share,
                    detection=found.detection,
                    assumed=found.assumed,
                )
            )
    return tuple(options)
