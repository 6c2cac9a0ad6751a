"""Decisions, with everything that they rest on."""

from typing import TypedDict

from coalesced.control.shapes.market import MarketFlag


class OptionRow(TypedDict):
    name: str
    did: str
    endpoint: str
    level: str
    quoted_micro: int | None
    price_micro: int
    time_micro: int
    risk_micro: int
    verify_micro: int
    total_micro: int
    success_ppm: int
    latency_s: float
    topsis_ppm: int | None
    chosen: bool
    feasible: bool
    note: str


class NoOfferRow(TypedDict):
    name: str
    did: str
    code: str
    reason: str


class Decision(TypedDict):
    schema: str
    task_id: str
    skill: str
    choice: str
    contractor: str
    level: str
    options: list[OptionRow]
    no_offers: list[NoOfferRow]
    reasons: list[str]
    explored: bool
    local_micro: int | None
    saving_micro: int | None
    decided_unix_ms: int
    policy: str
    runner_up: str
    limit_micro: int | None
    audited: bool
    audit_ppm: int
    local_samples: int
    local_error_ppm: int | None
    exploration_ppm: int
    exploration_target_ppm: int
    market: list[MarketFlag]


class Replay(TypedDict):
    schema: str
    task_id: str
    number: int
    same: bool
    inputs_sha256: str
    differs: list[str]
    decision: Decision
