"""The sellers of one decision as the policies' arrays: one column each, in the order of their keys."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from node.decision.audit import Audit, audit_of, audit_option, audited
from node.decision.config import DecisionConfig
from node.decision.decision import Excluded
from node.decision.external_cost import SellerTerms, Stakes, level_base, seller_terms
from node.decision.inputs import Candidate, Inputs, TaskFacts, VerificationOption
from node.decision.policies.interface import CheckTerms, Floats, Menu, TailTerms
from node.decision.screening import affordable, exclusion, levels_allowed, unsafe
from protocol.specification import PRIVACY_LEVELS


class Seller(NamedTuple):
    """One seller that is within every hard limit, with the ways to check its work that it and the task allow."""

    candidate: Candidate
    terms: SellerTerms
    options: tuple[VerificationOption, ...]
    """Least first; accepting unseen has its audits in it."""
    audit: Audit | None


def sellers_of(inputs: Inputs, stakes: Stakes) -> tuple[tuple[Seller, ...], tuple[Excluded, ...]]:
    """Those that can be hired, and those that are out; both in the order of their keys."""
    facts, config = inputs.facts, inputs.config
    allowed = levels_allowed(facts, inputs.options)
    auditing = audit_option(allowed)
    found = [
        unsafe(facts, candidate, stakes.value_micro, inputs.grants)
        or seller_of(candidate, facts, allowed, auditing, config, stakes)
        for candidate in by_key(inputs.candidates)
    ]
    sellers = tuple(one for one in found if isinstance(one, Seller))
    return sellers, tuple(one for one in found if isinstance(one, Excluded))


def by_key(candidates: Iterable[Candidate]) -> list[Candidate]:
    """In the order of their keys, so that the order in which they came decides nothing."""
    return sorted(candidates, key=lambda one: one.key)


def seller_of(
    candidate: Candidate,
    facts: TaskFacts,
    allowed: tuple[VerificationOption, ...],
    auditing: VerificationOption | None,
    config: DecisionConfig,
    stakes: Stakes,
) -> Seller | Excluded:
    """One seller with its terms, or why it is out. `auditing` is the check that audits, if there is one."""
    if (out := exclusion(facts, candidate, allowed, config)) is not None:
        return out
    terms = seller_terms(facts, candidate, config, stakes)
    usable = tuple(option for option in allowed if affordable(facts, candidate, option, terms.time_s))
    if not usable:
        text = "checking its work at any allowed level goes over the budget, a cap or the deadline"
        return Excluded(contractor=candidate.key, name=candidate.name, code="level", text=text)
    audit = None
    canary_share = next((option.price_share for option in usable if option.level == "none"), 0.0)
    if auditing is not None and auditing in usable:
        audit = audit_of(candidate, auditing, config, canary_share)
    if audit is not None and auditing is not None:
        rate = audit.rate
        usable = tuple(audited(one, auditing, rate) if one.level == "none" else one for one in usable)
    return Seller(candidate, terms, usable, audit)


def menu_of(
    facts: TaskFacts,
    sellers: Sequence[Seller],
    options: Sequence[VerificationOption],
    stakes: Stakes,
    limit_micro: float,
    config: DecisionConfig,
) -> Menu:
    """The arrays that a policy chooses from. `options` are the allowed levels, least first, at least one."""
    size = len(sellers)
    within_caps = stakes.value_micro <= config.unproven_value_micro and PRIVACY_LEVELS.index(
        facts.privacy
    ) <= PRIVACY_LEVELS.index(config.unproven_privacy)
    proven = np.array([seller.candidate.jobs >= config.proven_jobs for seller in sellers], bool)
    breach = _figures([seller.terms.breach_micro for seller in sellers])
    return Menu(
        usable=np.ones(size, bool),
        explorable=proven | within_caps,
        price_micro=_figures([seller.candidate.price_micro for seller in sellers]),
        fixed_micro=_figures([seller.terms.fixed_micro for seller in sellers]),
        prior=_figures([seller.terms.prior for seller in sellers]),
        time_s=_figures([seller.terms.time_s for seller in sellers]),
        p_breach=_figures([seller.terms.p_breach for seller in sellers]),
        match=_figures([seller.candidate.skill_match for seller in sellers]),
        checks=tuple(_check(facts, sellers, option, stakes) for option in options),
        value_micro=stakes.value_micro,
        redo_micro=stakes.local_total_micro,
        local_micro=stakes.local_total_micro,
        limit_micro=limit_micro,
        deadline_s=facts.deadline_s,
        has_local=stakes.local_feasible,
        tail=TailTerms(config.risk_weight, config.tail, config.gamma, breach) if config.risk_weight > 0.0 else None,
    )


def _check(facts: TaskFacts, sellers: Sequence[Seller], option: VerificationOption, stakes: Stakes) -> CheckTerms:
    """One level for every seller; an infinite cost where that seller's work cannot be checked so."""
    cost, detection, redo, p_late = [], [], [], []
    for seller in sellers:
        own = next((one for one in seller.options if one.level == option.level), None)
        base = level_base(facts, own or option, seller.terms, stakes)
        cost.append(base.check_micro if own else np.inf)
        detection.append((own or option).detection)
        redo.append(base.redo_micro)
        p_late.append(base.p_late)
    return CheckTerms(
        level=option.level,
        detection=_figures(detection),
        cost_micro=_figures(cost),
        price_share=option.price_share,
        redo_micro=_figures(redo),
        p_late=_figures(p_late),
    )


def _figures(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=float)
