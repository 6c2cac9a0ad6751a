"""Watching that a policy explores as it is meant to: COALESCE section VI.D, since exploration may fail silently.

What is forced when a policy is stuck is decided in `policies.batch.unstick`; this says what there is to say.
"""

from node.decision.decision import Exploration
from node.decision.policies.experience import RECENT_DECISIONS
from node.decision.policies.interface import Experience, Policy
from node.decision.policies.settings import PolicyConfig
from node.decision.reliability import wilson

RECENT_WEIGHT = 2.0 * RECENT_DECISIONS - 1.0
"""An exponential mean over so many decisions is as sure as a plain mean over twice as many, less one."""


def watched(policy: Policy, experience: Experience, settings: PolicyConfig) -> Exploration:
    """How far exploration is from its target, in one decision's experience.

    The alert is raised where even the upper end of the 95 % interval of the rate is below the target.
    """
    target = float(policy.explores(experience, settings)) if policy.explores else 0.0
    decisions, explorations = float(experience.decisions), float(experience.explorations)
    recent = decisions > RECENT_WEIGHT
    weight = RECENT_WEIGHT if recent else decisions
    rate = float(experience.recent_explorations) if recent else explorations / decisions if decisions else 0.0
    run = int(experience.local_run)
    _, most = wilson(rate * weight, (1.0 - rate) * weight)
    alert = ""
    if most < target:
        alert = (
            f"{policy.name} explored {rate:.1%} of the last {int(weight)} decisions; its target is {target:.1%}: "
            "look at decision.epsilon and at what rules the unproven out."
        )
    elif settings.stuck_after and run >= settings.stuck_after:
        alert = (
            f"{run} decisions in a row were for LOCAL though sellers offered: a seller that could be worth it is tried."
        )
    return Exploration(
        target=target,
        rate=rate,
        decisions=int(decisions),
        explorations=int(explorations),
        local_run=run,
        alert=alert,
    )
