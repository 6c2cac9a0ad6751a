"""What the policies remember, and how an outcome changes it: one explicit value for all of them."""

import numpy as np

from node.decision.policies.interface import LOCAL, Bools, Experience, Floats, Ints, Outcome
from node.decision.policies.pricing import configured_weights
from node.decision.policies.settings import CRITERIA, FEATURES, PolicyConfig

RECENT_DECISIONS = 50.0
"""Rates of hiring and exploring are taken over about so many decisions."""


def start(shape: tuple[int, ...], settings: PolicyConfig) -> Experience:
    """Nothing seen yet. `shape` is (sellers,) for one client, (rows, sellers) for many."""
    rows = shape[:-1]
    none, never = np.zeros(shape), np.zeros(rows)
    return Experience(
        successes=none,
        failures=none,
        jobs=none,
        shared_successes=none,
        shared_failures=none,
        reward=none,
        saved_micro=never,
        awards=none,
        weights=np.broadcast_to(configured_weights(settings), (*rows, CRITERIA)),
        gram=np.broadcast_to(np.eye(FEATURES), (*rows, FEATURES, FEATURES)),
        moment=np.zeros((*rows, FEATURES)),
        decisions=never,
        hires=never,
        explorations=never,
        recent_hires=never,
        recent_explorations=never,
        local_run=never,
    )


def learn(experience: Experience, outcome: Outcome, settings: PolicyConfig) -> Experience:
    """The state after one more decision in every row. Rewards are clipped to [-1, 1]: one disaster is one lesson."""
    seller = np.asarray(outcome.seller)
    hired, offered = seller != LOCAL, np.asarray(outcome.offered, bool)
    columns = experience.jobs.shape[-1]
    chosen = (np.arange(columns) == seller[..., None]).astype(float)
    good = np.asarray(outcome.success, float)[..., None]
    reward = np.where(hired, np.clip(outcome.reward, -1.0, 1.0), 0.0)
    x = np.where(hired[..., None], outcome.features, 0.0)
    explored = (np.asarray(outcome.explored, bool) & hired).astype(float)
    fade = np.where(hired, 1.0 - 1.0 / settings.share_memory, 1.0)[..., None]
    recent = np.where(offered, 1.0 / RECENT_DECISIONS, 0.0)
    return Experience(
        successes=experience.successes + chosen * good,
        failures=experience.failures + chosen * (1.0 - good),
        jobs=experience.jobs + chosen,
        shared_successes=experience.shared_successes,
        shared_failures=experience.shared_failures,
        reward=experience.reward + chosen * reward[..., None],
        saved_micro=experience.saved_micro + np.where(hired, outcome.saved_micro, 0.0),
        awards=experience.awards * fade + chosen,
        weights=_weights(experience.weights, x, reward, hired, settings.weight_learning),
        gram=experience.gram + x[..., :, None] * x[..., None, :],
        moment=experience.moment + reward[..., None] * x,
        decisions=experience.decisions + offered,
        hires=experience.hires + hired,
        explorations=experience.explorations + explored,
        recent_hires=experience.recent_hires + recent * (hired - experience.recent_hires),
        recent_explorations=experience.recent_explorations + recent * (explored - experience.recent_explorations),
        local_run=np.where(hired, 0.0, experience.local_run + offered),
    )


def _weights(weights: Floats, x: Floats, reward: Floats, hired: Bools, rate: float) -> Floats:
    """COALESCE eq. (13): w + eta * grad Q, with a stated Q.

    The print leaves Q undefined. Here Q = w . x predicts the measured utility u, (1 + reward) / 2, from the four
    criteria of the seller that was hired, and the step is the gradient of -(u - Q)^2 / 2; then no weight is
    negative and they sum to 1.
    """
    placed = x[..., FEATURES - CRITERIA :]
    missed = (1.0 + reward) / 2.0 - (weights * placed).sum(-1)
    moved = np.maximum(0.0, weights + rate * missed[..., None] * placed)
    total = moved.sum(-1, keepdims=True)
    usable = hired[..., None] & (total > 0.0)
    return np.asarray(np.where(usable, moved / np.where(total > 0.0, total, 1.0), weights))


def aged(experience: Experience, keep: float) -> Experience:
    """Counts of success and failure that time has discounted by `keep`, e^(-lambda * months): eq. (14) corrected."""
    return experience._replace(
        successes=experience.successes * keep,
        failures=experience.failures * keep,
        shared_successes=experience.shared_successes * keep,
        shared_failures=experience.shared_failures * keep,
    )


def rows_of(experience: Experience, rows: Ints) -> Experience:
    """The state of some rows of a batch."""
    return Experience(*(values[rows] for values in experience))


def with_rows(experience: Experience, rows: Ints, part: Experience) -> Experience:
    """A batch in which these rows have another state."""
    changed = []
    for values, some in zip(experience, part, strict=True):
        copy = values.copy()
        copy[rows] = some
        changed.append(copy)
    return Experience(*changed)
