"""Who is out before any cost is compared: hard limits of the task, the owner and this node's policy."""

from functools import partial

from crypto.identity import did_key
from node.decision.config import DecisionConfig
from node.decision.decision import Excluded, ExclusionCode
from node.decision.external_cost import transfer_s
from node.decision.inputs import Candidate, TaskFacts, VerificationOption
from node.decision.reliability import wilson
from node.decision.security import Demand, Exposure, Grant, Recipient, gate
from node.wording import duration, usd
from protocol.specification import LEVELS, PRIVACY_LEVELS


def levels_allowed(facts: TaskFacts, options: tuple[VerificationOption, ...]) -> tuple[VerificationOption, ...]:
    """The ways to check that satisfy what the task insists on."""
    least = LEVELS.index(facts.least_level)
    return tuple(option for option in options if LEVELS.index(option.level) >= least)


def exclusion(
    facts: TaskFacts, candidate: Candidate, allowed: tuple[VerificationOption, ...], config: DecisionConfig
) -> Excluded | None:
    """Why this seller is not considered; None when it is."""
    out = partial(_excluded, candidate)
    if (kept := _kept_from(facts, candidate, config)) is not None:
        return kept
    if candidate.skill_match < config.theta:
        return out("skill", f"matches the skill by {candidate.skill_match:.2f}, under {config.theta:.2f}")
    low, _ = wilson(candidate.successes, candidate.failures)
    if low < config.wilson_least:
        return out("unproven", f"its success is sure to be only {low:.2f} or more, under {config.wilson_least:.2f}")
    price = candidate.price_micro
    if price > facts.budget_micro:
        return out("over_budget", f"asks {usd(price)}; the budget is {usd(facts.budget_micro)}")
    if facts.spend_left_micro is not None and price > facts.spend_left_micro:
        return out("over_cap", f"asks {usd(price)}; the spending cap leaves {usd(facts.spend_left_micro)}")
    if candidate.exposure_left_micro is not None and price > candidate.exposure_left_micro:
        left = usd(candidate.exposure_left_micro)
        whom = "unproven sellers of its subnet" if candidate.is_subnet_capped else "it"
        return out("exposure", f"asks {usd(price)}; the cap on what is outstanding with {whom} leaves {left}")
    needed_s = transfer_s(facts, candidate, config) + candidate.duration_s
    if needed_s > facts.deadline_s:
        return out("late", f"needs about {duration(needed_s, 3)}; the deadline leaves {duration(facts.deadline_s, 3)}")
    if not allowed:
        return out("level", f"does work that cannot be checked at level {facts.least_level}, which the task insists on")
    return None


def withheld(
    facts: TaskFacts, candidate: Candidate, value_micro: float, grants: tuple[Grant, ...], config: DecisionConfig
) -> Excluded | None:
    """Why this seller may not see the task's input, whatever it would ask for it; None when it may."""
    return unsafe(facts, candidate, value_micro, grants) or _kept_from(facts, candidate, config)


def _kept_from(facts: TaskFacts, candidate: Candidate, config: DecisionConfig) -> Excluded | None:
    """Why its privacy or its regions keep a task from this seller; None when they do not."""
    out = partial(_excluded, candidate)
    privacy = PRIVACY_LEVELS.index(facts.privacy)
    if privacy > PRIVACY_LEVELS.index(config.most_private_outsourced):
        return out("privacy", f"{facts.privacy} data never leaves this node")
    if privacy > PRIVACY_LEVELS.index(candidate.most_private):
        return out("privacy", f"may see {candidate.most_private} data at most; the task is {facts.privacy}")
    if elsewhere := outside(facts.regions, candidate.regions):
        return out("region", elsewhere)
    return None


def outside(allowed: tuple[str, ...], regions: tuple[str, ...]) -> str:
    """Why a seller in these regions is none for a task that allows only those; empty when it is one."""
    if not allowed or set(allowed) & set(regions):
        return ""
    return f"is in {', '.join(regions) or 'an unknown region'}; the task allows {', '.join(allowed)}"


def unsafe(facts: TaskFacts, candidate: Candidate, value_micro: float, grants: tuple[Grant, ...]) -> Excluded | None:
    """Why the security budget keeps this task, worth so much, from this seller; None when it does not."""
    if not grants and facts.demand == Demand():
        return None
    what = Exposure(
        skill=facts.skill,
        media_type=facts.media_type,
        privacy=facts.privacy,
        value_micro=value_micro,
        input_bytes=facts.input_bytes,
    )
    to = Recipient(
        did=did_key(candidate.key),
        regions=candidate.advertised_regions,
        shown=candidate.shown,
        evidence=candidate.evidence,
        drift=candidate.drift,
    )
    text = gate(grants, facts.demand, what, to)
    return _excluded(candidate, "security", text) if text else None


def affordable(facts: TaskFacts, candidate: Candidate, option: VerificationOption, time_s: float) -> bool:
    """Whether checking at `option` keeps within budget, caps and deadline too."""
    spent = candidate.price_micro * (1.0 + option.price_share) + option.charged_micro
    within_cap = facts.spend_left_micro is None or spent <= facts.spend_left_micro
    return spent <= facts.budget_micro and within_cap and time_s + option.time_s <= facts.deadline_s


def _excluded(candidate: Candidate, code: ExclusionCode, text: str) -> Excluded:
    return Excluded(contractor=candidate.key, name=candidate.name, code=code, text=text)
