"""Whether to ask sellers at all: a round of quotes costs time and money, and where no order can pay it buys nothing.

Two things are known before anybody is asked. No order costs less than its overhead here, whoever takes it and at
whatever price. And what the best seller of such tasks came to lately, by the careful belief and less that overhead, was
some share of what doing it here cost; a seller that comes to more than its ceiling is not hired, nor tried.

That share is taken to hold for smaller tasks of the same kind: fees and minimum prices only make them dearer by
comparison. For a larger one a seller is taken to ask no less than for the smaller, and where it is larger by more than
half, nothing is known. Every quote may since have become `CHEAPER` by a tenth. A market that changes more is noticed
when skipping is interrupted: after `unasked_most` tasks in a row, and once the last rounds are older than `FRESH_S`.
"""

from typing import NamedTuple

from node.decision.config import DecisionConfig
from node.decision.decision import Decision
from node.decision.engine import limit_micro, local_row, task_value_micro
from node.decision.external_cost import communication_micro
from node.decision.inputs import Inputs, LocalOption, TaskFacts
from node.decision.policies.registry import policy
from node.wording import counted, usd

ROUNDS = 20
"""The last rounds of quotes that are looked at."""
LEAST_ROUNDS = 3
"""Fewer, about tasks of about that size or larger, say nothing yet."""
LARGER = 1.5
"""How much more costly a task may be here than one that was asked about, for that to say anything of it."""
CHEAPER = 0.1
"""How much lower than lately a quote may be expected: about twice as far as honest quotes for one task lie apart."""
FRESH_S = 3600.0
"""Sellers come and go: an hour later nothing is taken for known."""


class Past(NamedTuple):
    """One round of quotes, as far as it matters later."""

    unix_s: float
    limit_micro: float
    """What a seller had to stay below."""
    share: float
    """What the best seller came to by the careful belief, less the overhead, as a share of that."""


class Asked(NamedTuple):
    """What is remembered about one kind of task."""

    past: tuple[Past, ...] = ()
    """The last rounds, oldest first."""
    unasked: int = 0
    """Tasks in a row about which nobody was asked."""


def after_round(asked: Asked, decision: Decision, now_unix_s: float) -> Asked:
    """What is remembered after a round of quotes.

    Where nobody could be hired at all, or the policy has no careful belief, there is nothing to remember.
    """
    if decision.ceiling_micro is None or not decision.rows or decision.limit_micro <= 0.0:
        return asked._replace(unasked=0)
    best = min(row.doubted_micro - row.communication_micro - row.integration_micro for row in decision.rows)
    if nearly_affordable(decision.inputs):
        best = 0.0  # a quote that is a little lower opens what was not priced here
    past = Past(now_unix_s, decision.limit_micro, max(0.0, best) / decision.limit_micro)
    return Asked((*asked.past, past)[-ROUNDS:])


def nearly_affordable(inputs: Inputs) -> bool:
    """Whether some order, or a check with it, is over the task's budget or a cap by so little that a quote lower by
    `CHEAPER` would not be.
    """
    facts = inputs.facts
    for candidate in inputs.candidates:
        bounds = (facts.budget_micro, facts.spend_left_micro, candidate.exposure_left_micro)
        for spent in (candidate.price_micro * (1.0 + option.price_share) for option in inputs.options):
            if any(bound is not None and (1.0 - CHEAPER) * spent <= bound < spent for bound in bounds):
                return True
    return False


def needless(
    asked: Asked,
    facts: TaskFacts,
    local: LocalOption,
    config: DecisionConfig,
    *,
    saved_micro: float,
    unasked_most: int,
    now_unix_s: float,
) -> str:
    """Why asking would be in vain, as a sentence without its end; empty where sellers are to be asked.

    `saved_micro` is what hiring has saved for this skill so far, `unasked_most` how many tasks in a row may go unasked.
    """
    if asked.unasked >= unasked_most or not policy(config.policy).is_gated:
        return ""
    here = local_row(facts, local, config, task_value_micro(facts, local, config))
    if not here.feasible:
        return ""
    limit = limit_micro(facts, here, config)
    overhead = communication_micro(facts.input_bytes + facts.expected_output_bytes, config) + config.integration_micro
    if limit <= overhead:
        return f"doing it here costs {usd(limit)}, and any order {usd(overhead)} beside its price"
    alike = [
        past.share * min(limit, past.limit_micro)
        for past in asked.past
        if limit <= LARGER * past.limit_micro and now_unix_s - past.unix_s <= FRESH_S
    ]
    if len(alike) < LEAST_ROUNDS:
        return ""
    least = overhead + (1.0 - CHEAPER) * min(alike)
    if least <= limit + config.stake_share * max(0.0, saved_micro):
        return ""
    return (
        f"doing it here costs {usd(limit)}, and by the last {counted(len(alike), 'round')} of quotes for such tasks "
        f"the best seller would cost {usd(least)} or more, were it not what it claims"
    )
