"""The policies' state of one decision as arrays, and what is kept of it afterwards."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from node.decision.decision import Decision, SellerRow
from node.decision.inputs import MOST_MICRO, Candidate, PolicyMemory, SellerMemory
from node.decision.policies.experience import learn, start
from node.decision.policies.interface import LOCAL, Experience, Outcome
from node.decision.policies.pricing import TOPSIS_COST_RANGE
from node.decision.policies.settings import FEATURES, PolicyConfig
from node.decision.topsis import fall


def experience_of(sellers: Sequence[Candidate], memory: PolicyMemory, settings: PolicyConfig) -> Experience:
    """The arrays, one column a seller in the order given."""
    fresh = start((len(sellers),), settings)
    others = [one.told(settings) for one in sellers]
    return Experience(
        successes=np.array([own.successes + told.successes for own, told in zip(sellers, others, strict=True)], float),
        failures=np.array([own.failures + told.failures for own, told in zip(sellers, others, strict=True)], float),
        jobs=np.array([one.jobs for one in sellers], float),
        shared_successes=np.array([one.memory.shared_successes for one in sellers], float),
        shared_failures=np.array([one.memory.shared_failures for one in sellers], float),
        reward=np.array([one.memory.reward for one in sellers], float),
        saved_micro=np.array(memory.saved_micro),
        awards=np.array([_awards(one.memory, memory, settings) for one in sellers], float),
        weights=np.array(memory.weights) if memory.weights else fresh.weights,
        gram=np.array(memory.gram).reshape(FEATURES, FEATURES) if memory.gram else fresh.gram,
        moment=np.array(memory.moment) if memory.moment else fresh.moment,
        decisions=np.array(memory.decisions),
        hires=np.array(memory.hires),
        explorations=np.array(memory.explorations),
        recent_hires=np.array(memory.recent_hires),
        recent_explorations=np.array(memory.recent_explorations),
        local_run=np.array(memory.local_run),
    )


def _awards(seller: SellerMemory, memory: PolicyMemory, settings: PolicyConfig) -> float:
    """The weight that a seller's awards have left after the hires since."""
    since = max(0.0, memory.hires - seller.at_hires)
    return seller.awards * float((1.0 - 1.0 / settings.share_memory) ** since)


def memory_of(experience: Experience) -> PolicyMemory:
    """What is kept of a decision's state for the next one, whatever sellers that has."""
    return PolicyMemory(
        decisions=float(experience.decisions),
        hires=float(experience.hires),
        explorations=float(experience.explorations),
        recent_hires=float(experience.recent_hires),
        recent_explorations=float(experience.recent_explorations),
        local_run=float(experience.local_run),
        saved_micro=min(MOST_MICRO, max(-MOST_MICRO, float(experience.saved_micro))),
        weights=tuple(min(1.0, weight) for weight in experience.weights.tolist()),
        gram=tuple(experience.gram.reshape(-1).tolist()),
        moment=tuple(experience.moment.tolist()),
    )


class Lesson(NamedTuple):
    """What became of one decision, for the policies to learn from. `contractor` None: it was for LOCAL."""

    contractor: bytes | None
    good: bool
    reward: float
    """1 - (all that the hire cost) / (local cost), in [-1, 1]."""
    saved_micro: float
    """(local cost) - (all that the hire cost)."""
    explored: bool
    features: tuple[float, ...]
    """FEATURES numbers; none for LOCAL."""
    offered: bool
    """A seller could have been hired."""
    settings: PolicyConfig


def lesson_of(decision: Decision, *, good: bool) -> Lesson:
    """The lesson of a decision that was carried out; `good` says whether the hired work was accepted.

    Bad work cost its checks, its waiting and the work done again here; good work its price instead.
    """
    row, local_micro = decision.chosen, decision.local.total_micro
    offered = bool(decision.rows)
    if row is None:
        return Lesson(None, good, 0.0, 0.0, False, (), offered, decision.inputs.config)
    spent = row.communication_micro + row.settlement_micro + row.integration_micro
    spent += row.verification_micro + row.waiting_micro
    spent += row.price_micro if good else local_micro
    reward = 1.0 - spent / local_micro if local_micro > 0.0 else 0.0
    placed = placed_of(row, decision)
    return Lesson(
        contractor=row.contractor,
        good=good,
        reward=min(1.0, max(-1.0, reward)),
        saved_micro=local_micro - spent,
        explored=decision.explored,
        features=(1.0, *placed),
        offered=offered,
        settings=decision.inputs.config,
    )


def placed_of(row: SellerRow, decision: Decision) -> tuple[float, ...]:
    """A row's place on the fixed range of each criterion, 0 worst and 1 best: `pricing.goodness` of one seller."""
    worst_micro = TOPSIS_COST_RANGE * decision.local.total_micro
    placed = (
        fall(row.score_micro, worst_micro),
        row.success,
        fall(row.time_s, decision.inputs.facts.deadline_s),
        1.0 - row.p_breach,
    )
    return tuple(min(1.0, max(0.0, place)) for place in placed)


def learnt(client: PolicyMemory, seller: SellerMemory, lesson: Lesson) -> tuple[PolicyMemory, SellerMemory]:
    """The memory after one more outcome: of the client, and of the seller that it hired."""
    settings = lesson.settings
    stand_in = Candidate(key=b"", name="", price_micro=0, duration_s=0.0, p95_s=0.0, memory=seller)
    hired = lesson.contractor is not None
    after = learn(
        experience_of([stand_in], client, settings),
        Outcome(
            seller=np.array(0 if hired else LOCAL),
            success=np.array(lesson.good),
            reward=np.array(lesson.reward),
            saved_micro=np.array(lesson.saved_micro),
            explored=np.array(lesson.explored),
            features=np.array(lesson.features if hired else (0.0,) * FEATURES),
            offered=np.array(lesson.offered),
        ),
        settings,
    )
    kept = msgspec.structs.replace(
        seller, reward=float(after.reward[0]), awards=float(after.awards[0]), at_hires=float(after.hires)
    )
    return memory_of(after), kept
