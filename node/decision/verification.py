"""The ways to check a result, with what each costs and what it finds.

Which level is worth its cost is not decided here: the engine prices every seller at every level. Its comparison of
a level with `none` comes to the rule "check when (1-q) d (V + P - redo) is above the cost of the check".
Detection probabilities say what they rest on: the configuration, a measurement of a builtin skill, or an assumption.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated

import msgspec
from msgspec import Meta

from node.decision.checked import Checked, Probability
from node.decision.data.skill_checks import AS_OF, FOUND, REFUSED, SOURCE, TRIED, WORK_SHARE
from node.decision.inputs import NO_VERIFICATION, VerificationOption
from node.decision.reliability import wilson
from node.views import TokenRate
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
    basis: Annotated[str, Meta(max_length=500)] = ""
    """What the figures rest on, in words."""


class JudgeConfig(Checked, frozen=True, kw_only=True):
    """A model behind an OpenAI-compatible endpoint that grades what other models deliver to this node."""

    url: Annotated[str, Meta(min_length=8, max_length=2048)]
    """The base address, most often ending in /v1."""
    model: Annotated[str, Meta(min_length=1, max_length=256)]
    """As the endpoint calls it. Best another one than the models that it judges: a model likes its own mistakes."""
    key_env: Annotated[str, Meta(max_length=128)] = ""
    key_file: Annotated[str, Meta(max_length=4096)] = ""
    """Where the endpoint's API key is, as for a model on sale."""
    cost: TokenRate | None = None
    """What the endpoint charges; needed where it is neither near nor in the table of prices."""
    max_tokens: Annotated[int, Meta(ge=16, le=100_000)] = 300
    """Of one grade: a number and a sentence. Models that think first need more."""
    least_score: Probability = 0.6
    """What an answer must get, unless the task says otherwise."""
    per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Requests a minute, where the endpoint counts them."""


class VerificationConfig(Checked, frozen=True, kw_only=True):
    """Measured figures by skill label and level; they come before the assumed table."""

    judge: JudgeConfig | None = None
    """Who grades models' answers; without one, nobody does."""

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

SPARING = ("cheaper", "cut", "fabricated", "stale", "truncated")
"""The kinds of dishonest work that spare their contractor some, of those that were measured. What is public of a check
is public to cheats too, and they choose: so a check counts for what it finds of the kind that it finds least of. The
sixth kind, one figure changed after all the work was done, gains nothing but damage: it is published, and left out."""


@cache
def measured_figures(skill: str, level: Level) -> CheckFigures | None:
    """What was measured for a builtin skill's own check; None for any other."""
    if (kinds := FOUND.get(skill, {}).get(level)) is None:
        return None
    kind = min(SPARING, key=kinds.__getitem__)
    low, high = wilson(kinds[kind], TRIED - kinds[kind])
    return CheckFigures(
        # Honest work that is refused is done again.
        work_share=WORK_SHARE[skill][level] + REFUSED[skill][level] / TRIED,
        price_share=ASSUMED[level].price_share,
        # Laplace's rule: what was never missed in so many trials is not thereby never missed.
        detection=(kinds[kind] + 1) / (TRIED + 2),
        basis=f"{kinds[kind]} of {TRIED} {kind} results, {low:.2f} to {high:.2f}, and as many or more of other kinds, "
        f"by {SOURCE} on {AS_OF}",
    )


def figures(skill: str, level: Level, config: VerificationConfig) -> CheckFigures:
    """Cost and power of a check: as configured, else as measured for a builtin skill, else assumed for the level."""
    found = config.measured.get(skill, {}).get(level) or measured_figures(skill, level) or ASSUMED.get(level)
    if found is not None:
        return found
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
                    basis=found.basis or ("for any skill" if found.assumed else "as configured"),
                )
            )
    return tuple(options)
