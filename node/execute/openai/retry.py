"""When to ask an endpoint again: a budget of attempts and of time, and the pause that it asks for itself. Pure."""

import random
from typing import Annotated

import msgspec
from msgspec import Meta

TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Statuses after which the same request may succeed."""
OUT_OF_CREDIT = frozenset({"insufficient_quota", "billing_not_active", "billing_hard_limit_reached"})
"""Codes of a 429 that no pause mends."""


class RetryBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much one task may ask of its endpoint."""

    attempts: Annotated[int, Meta(ge=1, le=100)] = 4
    """Three more than one: a crash of a local server takes about two to come back."""
    first_pause_s: Annotated[float, Meta(ge=0, le=60)] = 0.5
    longest_pause_s: Annotated[float, Meta(ge=0, le=600)] = 20.0
    """What the doubling stops at. An endpoint that asks for more is waited for, if the task's time allows it."""


def pause_s(
    budget: RetryBudget, attempt: int, *, asked_s: float | None, left_s: float, rng: random.Random
) -> float | None:
    """Seconds to wait after failed attempt number `attempt` (from 1); None when no budget is left.

    `asked_s` is what the endpoint asked for in Retry-After; less is never waited. Half of a pause is drawn, so that
    many tasks do not come back together.
    """
    if attempt >= budget.attempts:
        return None
    doubled = min(budget.longest_pause_s, budget.first_pause_s * 2.0 ** (attempt - 1))
    wait_s = doubled * (0.5 + 0.5 * rng.random()) if asked_s is None else asked_s
    return wait_s if wait_s < left_s else None
