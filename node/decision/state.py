"""The policies' state of one decision as arrays, and what is kept of it afterwards."""

from collections.abc import Sequence

import msgspec
import numpy as np

from node.decision.inputs import Candidate, PolicyMemory, SellerMemory
from node.decision.policies.experience import start
from node.decision.policies.interface import Experience
from node.decision.policies.settings import FEATURES, PolicyConfig


def experience_of(sellers: Sequence[Candidate], memory: PolicyMemory, settings: PolicyConfig) -> Experience:
    """The arrays, one column a seller in the order given."""
    fresh = start((len(sellers),), settings)
    return Experience(
        successes=np.array([one.successes for one in sellers], float),
        failures=np.array([one.failures for one in sellers], float),
        jobs=np.array([one.jobs for one in sellers], float),
        shared_successes=np.array([one.memory.shared_successes for one in sellers], float),
        shared_failures=np.array([one.memory.shared_failures for one in sellers], float),
        reward=np.array([one.memory.reward for one in sellers], float),
        awards=np.array([one.memory.awards for one in sellers], float),
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


def memory_of(experience: Experience) -> PolicyMemory:
    """What is kept of a decision's state for the next one, whatever sellers that has."""
    return PolicyMemory(
        decisions=float(experience.decisions),
        hires=float(experience.hires),
        explorations=float(experience.explorations),
        recent_hires=float(experience.recent_hires),
        recent_explorations=float(experience.recent_explorations),
        local_run=float(experience.local_run),
        weights=tuple(min(1.0, weight) for weight in experience.weights.tolist()),
        gram=tuple(experience.gram.reshape(-1).tolist()),
        moment=tuple(experience.moment.tolist()),
    )


def seller_memory_of(experience: Experience, column: int, before: SellerMemory) -> SellerMemory:
    """What is kept of one seller."""
    return msgspec.structs.replace(
        before, reward=float(experience.reward[column]), awards=float(experience.awards[column])
    )
