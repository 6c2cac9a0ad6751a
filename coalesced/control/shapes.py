"""The JSON of the control API as types, for code that must not import the node's own packages.

node/views says what each field means; a test holds the two together, field by field.
"""

from collections.abc import Sequence
from typing import Required, TypedDict


class Error(TypedDict):
    schema: str
    code: str
    text: str
    exit_code: int


class Ok(TypedDict):
    schema: str
    text: str


class Problem(TypedDict):
    text: str
    fix: str


class Status(TypedDict):
    schema: str
    node: str
    did: str
    network: str
    version: str
    pid: int
    home: str
    uptime_s: float
    listening: list[str]
    advertised: str
    peers: int
    contacts: int
    bootstrap: str
    skills_sold: list[str]
    tasks: dict[str, int]
    spent_today_micro: int
    cap_today_micro: int
    earned_today_micro: int
    journal_height: int
    draining: bool
    problems: list[Problem]


class Check(TypedDict):
    name: str
    status: str
    text: str
    fix: str
    took_s: float


class Doctor(TypedDict):
    schema: str
    checks: list[Check]


class PeerRow(TypedDict):
    peer: str
    did: str
    endpoint: str
    connected: bool
    rtt_s: float | None
    last_seen_unix_ms: int | None
    tasks: int
    accepted: int
    spent_micro: int
    exposure_micro: int
    offences: int
    blocked: bool


class Peers(TypedDict):
    schema: str
    peers: list[PeerRow]


class Ping(TypedDict):
    schema: str
    peer: str
    did: str
    endpoint: str
    rtt_s: float


class SkillRow(TypedDict):
    label: str
    caption: str
    description: str
    efforts: list[str]
    input_media_types: list[str]
    output_media_type: str
    levels: list[str]
    sold: bool
    price_hint_micro: int | None
    seconds_per_unit: float | None
    source: str
    unit: str
    example: str
    example_units: int
    example_s: float | None
    example_price_micro: int | None


class Skills(TypedDict):
    schema: str
    skills: list[SkillRow]


class SellerRow(TypedDict):
    peer: str
    did: str
    endpoint: str
    caption: str
    price_hint_micro: int
    load_ppm: int
    regions: list[str]
    expires_unix_ms: int
    tasks: int
    accepted: int
    success_ppm: int | None
    blocked: bool


class Sellers(TypedDict):
    schema: str
    skill: str
    sellers: list[SellerRow]


class Offer(TypedDict):
    schema: str
    label: str
    caption: str
    source: str
    price_micro: int | None
    price_hint_micro: int | None
    published_to: int
    sold: int
    earned_micro: int
    problem: str


class Offers(TypedDict):
    schema: str
    offers: list[Offer]


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


class Decision(TypedDict):
    schema: str
    task_id: str
    skill: str
    choice: str
    contractor: str
    level: str
    options: list[OptionRow]
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


class Replay(TypedDict):
    schema: str
    task_id: str
    number: int
    same: bool
    inputs_sha256: str
    differs: list[str]
    decision: Decision


class ResultInfo(TypedDict):
    media_type: str
    size_bytes: int
    sha256: str


class TaskError(TypedDict):
    code: str
    text: str
    exit_code: int


class Task(TypedDict):
    schema: str
    id: str
    state: str
    side: str
    skill: str
    effort: str
    parent: str
    subtasks: list[str]
    input_bytes: int
    created_unix_ms: int
    finished_unix_ms: int | None
    deadline_unix_ms: int | None
    done_ppm: int
    question: str
    choice: str
    peer: str
    cost_micro: int | None
    local_micro: int | None
    saving_micro: int | None
    level: str
    verdict: str
    score_ppm: int | None
    tried: list[str]
    result: ResultInfo | None
    receipt: str
    journal_height: int | None
    error: TaskError | None
    explored: bool


class Tasks(TypedDict):
    schema: str
    tasks: list[Task]


class Receipt(TypedDict):
    schema: str
    id: str
    task_id: str
    skill: str
    client: str
    client_did: str
    contractor: str
    contractor_did: str
    price_micro: int
    started_unix_ms: int
    finished_unix_ms: int
    level: str
    verdict: str
    score_ppm: int | None
    explored: bool
    countersigned: bool
    fault: str
    journal_height: int | None
    digest: str


class Event(TypedDict):
    schema: str
    name: str
    at_unix_ms: int
    task_id: str
    text: str
    peer: str
    done_ppm: int | None
    question: str
    level: str
    verdict: str
    score_ppm: int | None
    cost_micro: int | None
    result_bytes: int | None
    decision: Decision | None
    receipt: Receipt | None
    task: Task | None


class TimelineRow(TypedDict):
    after_s: float
    name: str
    text: str


class Why(TypedDict):
    schema: str
    task: Task
    decision: Decision | None
    timeline: list[TimelineRow]
    tried: list[str]
    receipt: Receipt | None
    subtasks: list[Task]


class JournalRow(TypedDict):
    height: int
    at_unix_ms: int
    kind: str
    task_id: str
    text: str
    digest: str


class Journal(TypedDict):
    schema: str
    height: int
    entries: list[JournalRow]


class JournalEntry(TypedDict):
    schema: str
    height: int
    at_unix_ms: int
    kind: str
    previous: str
    digest: str
    body: dict[str, object]


class Verify(TypedDict):
    schema: str
    ok: bool
    checked: int
    head: str
    problem: str


class InputFile(TypedDict):
    name: str
    media_type: str
    data: bytes  # base64 in JSON: the encoder sees to it


class AskRequest(TypedDict, total=False):
    skill: Required[str]
    text: str
    files: Sequence[InputFile]
    budget_micro: int | None
    value_micro: int | None
    deadline_s: float | None
    prefer: str
    privacy: str | None
    regions: Sequence[str]
    effort: str | None
    least_level: str | None
    min_score_ppm: int | None
    idempotency_key: str
    policy: str
    what_if: Sequence[str]
    dry_run: bool
    plan: str
    split: bool


class SellRequest(TypedDict, total=False):
    target: Required[str]
    label: str | None
    caption: str
    price_micro: int | None
    timeout_s: float | None
    memory_bytes: int | None
    directory: str
    environment: dict[str, str]
