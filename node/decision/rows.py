"""What the decision shows of each seller: every term of its cost, at its best verification level."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from node.decision.config import DecisionConfig
from node.decision.decision import SellerRow
from node.decision.external_cost import Stakes, level_terms
from node.decision.inputs import TaskFacts
from node.decision.menu import Seller
from node.decision.policies.pricing import TOPSIS_COST_RANGE
from node.decision.reliability import wilson
from node.decision.topsis import closeness, fall, weights
from protocol.specification import Level


class Row(NamedTuple):
    """A seller's row, and what it was made from."""

    seller: SellerRow
    column: int
    draw: float
    """Its audit draw."""


def rows_of(
    facts: TaskFacts,
    sellers: Sequence[Seller],
    success: Sequence[float],
    careful: Sequence[float] | None,
    levels: Mapping[int, Level],
    stakes: Stakes,
    config: DecisionConfig,
) -> tuple[Row, ...]:
    """Every seller as the policy believes in it, best first: `success` and, where it has one, its `careful` belief.

    `levels` fixes some columns' level.
    """
    weight = weights(config)
    rows = [
        Row(
            row_of(
                seller,
                success[column],
                None if careful is None else careful[column],
                levels.get(column),
                facts,
                config,
                stakes,
                weight,
            ),
            column,
            seller.candidate.audit_draw,
        )
        for column, seller in enumerate(sellers)
    ]
    rows.sort(key=lambda row: (row.seller.score_micro, row.seller.contractor))
    return tuple(rows)


def row_of(
    seller: Seller,
    success: float,
    careful: float | None,
    level: Level | None,
    facts: TaskFacts,
    config: DecisionConfig,
    stakes: Stakes,
    weight: tuple[float, ...],
) -> SellerRow:
    """One seller at its level; `level` None takes the one of least score, of equal ones the one that checks least.

    Scores are those of the careful belief, where there is one.
    """
    candidate, terms = seller.candidate, seller.terms
    priced = [level_terms(facts, candidate, option, terms, success, config, stakes) for option in seller.options]
    doubted = priced
    if careful is not None:
        doubted = [level_terms(facts, candidate, option, terms, careful, config, stakes) for option in seller.options]
    if level is None:
        at = min(range(len(doubted)), key=lambda index: doubted[index].preference_micro)
    else:
        at = next(index for index, option in enumerate(seller.options) if option.level == level)
    best = priced[at]
    low, high = wilson(candidate.successes, candidate.failures)
    # Only criteria that no level changes, but the total: a dominated seller then never scores above its better.
    goodness = (
        fall(best.score_micro, TOPSIS_COST_RANGE * stakes.local_total_micro),
        success,
        fall(terms.time_s, facts.deadline_s),
        1.0 - terms.p_breach,
    )
    return SellerRow(
        contractor=candidate.key,
        name=candidate.name,
        level=best.option.level,
        assumed=best.option.assumed,
        price_micro=candidate.price_micro,
        payment_micro=best.payment_micro,
        communication_micro=terms.communication_micro,
        settlement_micro=candidate.settlement_micro,
        integration_micro=config.integration_micro,
        verification_micro=best.verification_micro,
        waiting_micro=stakes.time_value_micro_per_s * (terms.time_s + candidate.ahead_s),
        lateness_micro=best.lateness_micro,
        undetected_micro=best.undetected_micro,
        redo_micro=best.redo_micro,
        breach_micro=terms.breach_micro,
        total_micro=best.total_micro,
        score_micro=best.score_micro,
        doubted_micro=doubted[at].score_micro,
        success=success,
        success_mean=terms.success_mean,
        wilson_low=low,
        wilson_high=high,
        p_good=best.p_good,
        p_late=best.p_late,
        p_breach=terms.p_breach,
        time_s=terms.time_s,
        topsis=closeness(goodness, weight),
        audit_level=seller.audit.level if seller.audit else "none",
        audit_rate=seller.audit.rate if seller.audit else 0.0,
        levels=tuple((terms.option.level, terms.total_micro) for terms in priced),
    )
