"""Who is out before any cost is compared: hard limits of the task, the owner and this node's policy."""

from crypto.identity import did_key
from node.decision.config import DecisionConfig
from node.decision.decision import Excluded, ExclusionCode
from node.decision.external_cost import Stakes, transfer_s
from node.decision.inputs import Candidate, Inputs, TaskFacts, VerificationOption
from node.decision.reliability import wilson
from node.decision.security import Demand, Exposure, Recipient, gate
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

    def out(code: ExclusionCode, text: str) -> Excluded:
        return Excluded(contractor=candidate.key, name=candidate.name, code=code, text=text)

    privacy = PRIVACY_LEVELS.index(facts.privacy)
    if privacy > PRIVACY_LEVELS.index(config.most_private_outsourced):
        return out("privacy", f"{facts.privacy} data never leaves this node")
    if privacy > PRIVACY_LEVELS.index(candidate.most_private):
        return out("privacy", f"may see {candidate.most_private} data at most; the task is {facts.privacy}")
    if facts.regions and not set(facts.regions) & set(candidate.regions):
        where = ", ".join(candidate.regions) or "an unknown region"
        return out("region", f"is in {where}; the task allows {', '.join(facts.regions)}")
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


def unsafe(inputs: Inputs, candidate: Candidate, stakes: Stakes) -> Excluded | None:
    """Why the security budget keeps this task from this seller; None when it does not."""
    facts = inputs.facts
    if not inputs.grants and facts.demand == Demand():
        return None
    what = Exposure(
        skill=facts.skill,
        media_type=facts.media_type,
        privacy=facts.privacy,
        value_micro=stakes.value_micro,
        input_bytes=facts.input_bytes,
    )
    to = Recipient(
        did=did_key(candidate.key),
        regions=candidate.advertised_regions,
        shown=candidate.shown,
        evidence=candidate.evidence,
        drift=candidate.drift,
    )
    text = gate(inputs.grants, facts.demand, what, to)
    return Excluded(contractor=candidate.key, name=candidate.name, code="security", text=text) if text else None


def affordable(facts: TaskFacts, candidate: Candidate, option: VerificationOption, time_s: float) -> bool:
    """Whether checking at `option` keeps within budget, caps and deadline too."""
    spent = candidate.price_micro * (1.0 + option.price_share) + option.charged_micro
    within_cap = facts.spend_left_micro is None or spent <= facts.spend_left_micro
    return spent <= facts.budget_micro and within_cap and time_s + option.time_s <= facts.deadline_s
