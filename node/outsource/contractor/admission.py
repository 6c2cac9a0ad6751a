"""Which quote requests a contractor declines, and why. Pure."""

import math
from collections.abc import Sequence

from node.decision.calibrate import Prediction
from node.market.hours import changes_in_s, hour_of, is_open, is_open_for, shown_hours
from node.market.pricing import Load
from node.outsource.config import ContractorConfig
from node.outsource.contractor.clients import Standing
from node.wording import duration, usd
from protocol.fields import MAX_MILLIS
from protocol.messages import Decline
from protocol.specification import PRIVACY_LEVELS, Specification

BUSY_RETRY_MS = 1_000
"""When to ask again: builtin tasks take about a second."""
MAX_TEXT_CHARS = 500
"""What a decline can carry (protocol.fields.ShortText)."""


def decline_form(specification: Specification, config: ContractorConfig, media_types: Sequence[str]) -> Decline | None:
    """Refuse what this node would not do at any load or price; None when it would."""
    size = specification.input.size_bytes
    limits = specification.constraints
    if size > config.max_input_bytes:
        return Decline(code="too_large", text=f"the input has {size} bytes, over my limit of {config.max_input_bytes}")
    if specification.input.media_type not in media_types:
        takes = ", ".join(media_types)
        text = f"I take {takes}, not {specification.input.media_type}"
        return Decline(code="media_type", text=text[:MAX_TEXT_CHARS])
    if PRIVACY_LEVELS.index(limits.privacy) > PRIVACY_LEVELS.index(config.privacy):
        return Decline(code="privacy", text=f"I take work up to {config.privacy}, not {limits.privacy}")
    if limits.regions and not set(limits.regions) & set(config.regions):
        return Decline(
            code="region", text=f"I am in {', '.join(config.regions) or 'no stated region'}"[:MAX_TEXT_CHARS]
        )
    if missing := sorted(set(specification.resources.libraries) - set(config.libraries)):
        return Decline(code="resources", text=f"work here cannot use {missing[0]}")
    return None


def decline_client(standing: Standing, config: ContractorConfig) -> Decline | None:
    """Refuse a client that takes work and signs nothing for it; None for all others."""
    if standing.unsigned >= config.max_unsigned_jobs + standing.receipts:
        text = f"{standing.unsigned} jobs that I did for you lack your receipt: offer them first"
        return Decline(code="unsigned", text=text, retry_after_ms=BUSY_RETRY_MS)
    return None


def queue_limit(standing: Standing, config: ContractorConfig) -> int:
    """How many jobs may wait here when one of this client's is to join them: the other half is not for strangers."""
    return config.max_queued_jobs if standing.is_known else (config.max_queued_jobs + 1) // 2


def decline_time(
    specification: Specification,
    config: ContractorConfig,
    *,
    standing: Standing,
    load: Load,
    prediction: Prediction,
) -> Decline | None:
    """Refuse what this node cannot do in time or under its present load; None when it can."""
    if load.demand - load.slots >= queue_limit(standing, config):
        text = f"{load.demand} jobs run or wait here already"
        return Decline(code="busy", text=text, retry_after_ms=BUSY_RETRY_MS)
    allowed_ms = specification.constraints.deadline_ms
    expected_ms = round(wait_and_run_s(load, prediction.expected_s) * 1000)
    if expected_ms > allowed_ms:
        text = f"it takes about {duration(expected_ms / 1e3)} here, you allow {duration(allowed_ms / 1e3)}"
        return Decline(code="too_late", text=text)
    return None


def decline_hours(
    label: str, week: bytes | None, now_unix_s: float, load: Load, prediction: Prediction
) -> Decline | None:
    """Refuse what would not be done within the hours in which this skill is on sale; None where there are none."""
    needed_s = wait_and_run_s(load, prediction.expected_s)
    if week is None or is_open_for(week, now_unix_s, needed_s):
        return None
    shown, wait_s = shown_hours(week, now_unix_s), changes_in_s(week, now_unix_s) or 0.0
    if not is_open(week, hour_of(now_unix_s)):
        text = f"{label} is on sale by hours and {shown}"
        return Decline(code="closed", text=text, retry_after_ms=min(MAX_MILLIS, math.ceil(wait_s * 1000)))
    return Decline(code="closed", text=f"{label} is {shown}, and this takes about {duration(needed_s)} here")


def decline_price(specification: Specification, price_micro: int) -> Decline | None:
    """Refuse what costs more than its client allows; None otherwise."""
    allowed_micro = specification.constraints.budget_micro
    if price_micro > allowed_micro:
        text = f"it costs {usd(price_micro)} here, you allow {usd(allowed_micro)}"
        return Decline(code="over_budget", text=text)
    return None


def wait_and_run_s(load: Load, run_s: float) -> float:
    """Time to the result of a job that starts behind those waiting now."""
    rounds = max(0, load.demand - load.slots + 1) / load.slots
    return run_s * (1 + rounds)
