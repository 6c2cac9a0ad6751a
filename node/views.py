"""What a node shows and is asked through its control API, as frozen values.

Every view is one JSON object whose "schema" is `coalesced.<name>/1`; a field is only ever added, or the number
changes. Money is integer micro-dollars, ratios are parts per million, moments are Unix milliseconds, durations
are seconds. A peer is named by its short id (eight base32 characters); its key is a did:key. Text that came
from a peer is carried as it is: whoever draws it must escape it.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from node.tasks.lifecycle import TaskState
from protocol.fields import Label, MediaType, Micro, Name, Ppm
from protocol.specification import Effort, Level, Privacy

Side = Literal["client", "contractor"]
Preference = Literal["auto", "local", "cheap", "fast"]
CheckStatus = Literal["pass", "warn", "fail", "skip"]
EventName = Literal[
    "submitted",
    "local_priced",
    "sellers_found",
    "quotes",
    "decided",
    "awarded",
    "accepted",
    "progress",
    "input_required",
    "verified",
    "receipt",
    "fell_back",
    "completed",
    "failed",
    "cancelled",
    "rejected",
    "peer_connected",
    "peer_lost",
    "task_received",
    "task_served",
    "offer_changed",
    "reloaded",
    "stopping",
]
"""What can happen: to a task of ours, then to the node itself."""
ENDING_EVENTS: frozenset[EventName] = frozenset({"completed", "failed", "cancelled", "rejected"})


class View(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema"):
    """Base of everything that is sent on its own; each subclass's tag is its schema."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what only travels inside a view."""


class ErrorView(View, frozen=True, kw_only=True, tag="coalesced.error/1"):
    """A call that failed: the stable code, one line of text, and the exit code that the command line gives it."""

    code: str
    text: str
    exit_code: int


class OkView(View, frozen=True, kw_only=True, tag="coalesced.ok/1"):
    """Done as asked; `text` says what changed."""

    text: str


# --- the node -----------------------------------------------------------------------------------------------


class Problem(Part, frozen=True, kw_only=True):
    """Something a person should know, and the command that fixes it (empty when there is none)."""

    text: str
    fix: str = ""


class StatusView(View, frozen=True, kw_only=True, tag="coalesced.status/1"):
    """One screen about the node; problems last."""

    node: str
    did: str
    network: str
    version: str
    pid: int
    home: str
    uptime_s: float
    listening: tuple[str, ...]
    advertised: str
    peers: int
    contacts: int
    """Nodes in the routing table; `peers` are those with an open session."""
    bootstrap: str
    """How joining stands, in words: "no bootstrap address", "joined through 1 of 2", "retrying in 4 s"."""
    skills_sold: tuple[str, ...]
    tasks: dict[str, int]
    """Tasks kept by this node, by state."""
    spent_today_micro: int
    cap_today_micro: int
    earned_today_micro: int = 0
    journal_height: int
    draining: bool = False
    problems: tuple[Problem, ...] = ()


class Check(Part, frozen=True, kw_only=True):
    """One check of the doctor's."""

    name: str
    status: CheckStatus
    text: str
    fix: str = ""
    took_s: float = 0.0


class DoctorView(View, frozen=True, kw_only=True, tag="coalesced.doctor/1"):
    """Every check that was made; it failed when any check did."""

    checks: tuple[Check, ...]


# --- peers and skills ---------------------------------------------------------------------------------------


class PeerRow(Part, frozen=True, kw_only=True):
    """One known node and this node's own history with it."""

    peer: str
    did: str
    endpoint: str
    connected: bool
    rtt_s: float | None = None
    last_seen_unix_ms: int | None = None
    tasks: int = 0
    accepted: int = 0
    spent_micro: int = 0
    exposure_micro: int = 0
    offences: int = 0
    blocked: bool = False


class PeersView(View, frozen=True, kw_only=True, tag="coalesced.peers/1"):
    """The nodes that this one knows."""

    peers: tuple[PeerRow, ...]


class PingView(View, frozen=True, kw_only=True, tag="coalesced.ping/1"):
    """One round trip over the encrypted channel."""

    peer: str
    did: str
    endpoint: str
    rtt_s: float


class SkillRow(Part, frozen=True, kw_only=True):
    """One thing that this node can do itself."""

    label: str
    caption: str
    description: str = ""
    efforts: tuple[str, ...] = ("full",)
    input_media_types: tuple[str, ...] = ()
    output_media_type: str = ""
    levels: tuple[str, ...] = ("none",)
    sold: bool = False
    price_hint_micro: int | None = None
    seconds_per_unit: float | None = None
    """Calibrated on this machine at full effort; None before the first run."""
    source: str = "builtin"
    """`builtin`, or the `module:function` that the owner sells."""


class SkillsView(View, frozen=True, kw_only=True, tag="coalesced.skills/1"):
    """What this node can do."""

    skills: tuple[SkillRow, ...]


class SellerRow(Part, frozen=True, kw_only=True):
    """One advert for a skill, and this node's history with its publisher."""

    peer: str
    did: str
    endpoint: str
    caption: str = ""
    price_hint_micro: int
    load_ppm: int
    regions: tuple[str, ...] = ()
    expires_unix_ms: int
    tasks: int = 0
    accepted: int = 0
    success_ppm: int | None = None
    """Pessimistic success probability from receipts; None for a stranger."""
    blocked: bool = False


class SellersView(View, frozen=True, kw_only=True, tag="coalesced.sellers/1"):
    """Who sells a skill, as the DHT answered just now."""

    skill: str
    sellers: tuple[SellerRow, ...]


class SellRequest(View, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="coalesced.sell/1"):
    """Offer a skill: `target` is a label that this node has, or `module:function` in the caller's directory."""

    target: Annotated[str, Meta(min_length=1, max_length=256)]
    label: Label | None = None
    """The name to sell it under; None takes the function's own."""
    caption: Annotated[str, Meta(max_length=120)] = ""
    price_micro: Micro | None = None
    """Fixed price of one work unit; None lets the node price by its measured cost (COALESCE eq. 7)."""
    timeout_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    memory_bytes: Annotated[int, Meta(ge=16 * 2**20, le=2**40)] | None = None
    directory: Annotated[str, Meta(max_length=4096)] = ""
    """Absolute; where the function's module is imported from and runs."""
    environment: Annotated[dict[str, str], Meta(max_length=1024)] = {}


class OfferView(View, frozen=True, kw_only=True, tag="coalesced.offer/1"):
    """One skill that is on sale."""

    label: str
    caption: str = ""
    source: str = "builtin"
    price_micro: int | None = None
    price_hint_micro: int | None = None
    published_to: int = 0
    """Nodes of the DHT that hold the advert now; 0 = only this node knows."""
    sold: int = 0
    earned_micro: int = 0
    problem: str = ""


class OffersView(View, frozen=True, kw_only=True, tag="coalesced.offers/1"):
    """Everything on sale here."""

    offers: tuple[OfferView, ...]


# --- tasks --------------------------------------------------------------------------------------------------


class InputFile(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the input. `data` is base64 in JSON."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    media_type: MediaType
    data: bytes


class AskRequest(View, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="coalesced.ask/1"):
    """One task, as its owner gives it. What is None or empty is taken from the node's configuration."""

    skill: Annotated[str, Meta(min_length=1, max_length=4000)]
    """An exact label; anything else is refused with the nearest ones."""
    text: Annotated[str, Meta(max_length=2**26)] = ""
    files: Annotated[tuple[InputFile, ...], Meta(max_length=256)] = ()
    budget_micro: Micro | None = None
    value_micro: Micro | None = None
    """What the result is worth to the owner: the value at risk V. None takes ten local costs (the node's setting),
    bounded by the budget; and the budget itself where this node cannot do the task."""
    deadline_s: Annotated[float, Meta(gt=0, le=30 * 86_400)] | None = None
    prefer: Preference = "auto"
    privacy: Privacy | None = None
    regions: Annotated[tuple[Name, ...], Meta(max_length=16)] = ()
    effort: Effort | None = None
    least_level: Level | None = None
    min_score_ppm: Ppm | None = None
    idempotency_key: Annotated[str, Meta(max_length=128)] = ""
    """Asking again with the same key gives the same task."""
    dry_run: bool = False
    """Decide and say why; do nothing."""
    plan: Annotated[str, Meta(max_length=2**20)] = ""
    """A DAG of subtasks as JSON text."""
    split: bool = False
    """One subtask a document, then merge."""


class OptionRow(Part, frozen=True, kw_only=True):
    """One way of getting the work done, in expected money. price + time + risk + verify = total.

    `price` is what is paid (or burnt here) in expectation with communication and integration, `time` the cost of
    waiting, `risk` what failure and breach are expected to cost, `verify` the cost of checking.
    """

    name: str
    """`local`, or the seller's short id."""
    did: str = ""
    endpoint: str = ""
    level: str = "none"
    quoted_micro: int | None = None
    price_micro: int
    time_micro: int
    risk_micro: int
    verify_micro: int
    total_micro: int
    success_ppm: int
    latency_s: float = 0.0
    topsis_ppm: int | None = None
    chosen: bool = False
    feasible: bool = True
    note: str = ""
    """Why it is out, when it is: "over budget", "does not fit: 12 GB of 8 GB"."""


class DecisionView(View, frozen=True, kw_only=True, tag="coalesced.decision/1"):
    """A decision and everything that it rests on, best option first."""

    task_id: str = ""
    skill: str
    choice: Literal["local", "outsource", "none"]
    contractor: str = ""
    level: str = "none"
    options: tuple[OptionRow, ...]
    reasons: tuple[str, ...]
    """Whole sentences, the deciding one first: "Local wins if its p95 falls under 9 s." """
    explored: bool = False
    local_micro: int | None = None
    """Expected total cost here; None when this node cannot do it."""
    saving_micro: int = 0
    decided_unix_ms: int = 0


class ResultInfo(Part, frozen=True, kw_only=True):
    """A stored result by type, size and digest (hex); its bytes are fetched apart."""

    media_type: str
    size_bytes: int
    sha256: str


class TaskError(Part, frozen=True, kw_only=True):
    """Why a task did not end well."""

    code: str
    text: str
    exit_code: int = 1


class TaskView(View, frozen=True, kw_only=True, tag="coalesced.task/1"):
    """One task as it stands."""

    id: str
    state: TaskState
    side: Side = "client"
    skill: str
    effort: str = "full"
    parent: str = ""
    """The plan's task, when this is a subtask of one."""
    subtasks: tuple[str, ...] = ()
    input_bytes: int = 0
    created_unix_ms: int
    finished_unix_ms: int | None = None
    deadline_unix_ms: int | None = None
    done_ppm: int = 0
    question: str = ""
    """What it waits for, while input-required."""
    choice: Literal["local", "outsource", ""] = ""
    """Where it is (or was, in the end) done."""
    peer: str = ""
    """The other side: the contractor of our task, or the client of a task that we do."""
    cost_micro: int | None = None
    """What it cost in the end: the price paid, or the internal cost."""
    local_micro: int | None = None
    saving_micro: int | None = None
    level: str = ""
    verdict: str = ""
    """`accepted`, `refused`, or empty when nothing was checked."""
    score_ppm: int | None = None
    tried: tuple[str, ...] = ()
    """What was tried before, in words, in order."""
    result: ResultInfo | None = None
    receipt: str = ""
    journal_height: int | None = None
    error: TaskError | None = None
    explored: bool = False


class TasksView(View, frozen=True, kw_only=True, tag="coalesced.tasks/1"):
    """The latest tasks first."""

    tasks: tuple[TaskView, ...]


class ReceiptView(View, frozen=True, kw_only=True, tag="coalesced.receipt/1"):
    """A receipt that both sides signed, or a one-sided fault report (`countersigned` false)."""

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
    score_ppm: int | None = None
    explored: bool = False
    countersigned: bool
    fault: str = ""
    journal_height: int | None = None
    digest: str
    """SHA-256 of the signed bytes, hex."""


class EventView(View, frozen=True, kw_only=True, tag="coalesced.event/1"):
    """Something that happened. `text` is one line for a person; what else is set depends on `name`."""

    name: EventName
    at_unix_ms: int
    task_id: str = ""
    text: str = ""
    peer: str = ""
    done_ppm: int | None = None
    question: str = ""
    level: str = ""
    verdict: str = ""
    score_ppm: int | None = None
    """Set on `verified`."""
    cost_micro: int | None = None
    result_bytes: int | None = None
    """Set on `completed`: what it cost in the end, and the size of its result."""
    decision: DecisionView | None = None
    receipt: ReceiptView | None = None
    task: TaskView | None = None
    """Set on `submitted` and on every ending event."""


class TimelineRow(Part, frozen=True, kw_only=True):
    """One moment of a task, counted from its submission."""

    after_s: float
    name: str
    text: str


class WhyView(View, frozen=True, kw_only=True, tag="coalesced.why/1"):
    """Everything about one task on one screen. For a plan, `subtasks` are explained by `why` one by one."""

    task: TaskView
    decision: DecisionView | None
    timeline: tuple[TimelineRow, ...] = ()
    tried: tuple[str, ...] = ()
    receipt: ReceiptView | None = None
    subtasks: tuple[TaskView, ...] = ()


# --- the journal --------------------------------------------------------------------------------------------


class JournalRow(Part, frozen=True, kw_only=True):
    """One entry by its heading."""

    height: int
    at_unix_ms: int
    kind: str
    task_id: str = ""
    text: str = ""
    digest: str


class JournalView(View, frozen=True, kw_only=True, tag="coalesced.journal/1"):
    """The latest entries, oldest first. `height` counts all."""

    height: int
    entries: tuple[JournalRow, ...]


class JournalEntryView(View, frozen=True, kw_only=True, tag="coalesced.journal-entry/1"):
    """One entry in full; `body` holds its decoded fields, bytes as hex."""

    height: int
    at_unix_ms: int
    kind: str
    previous: str
    digest: str
    body: dict[str, object]


class VerifyView(View, frozen=True, kw_only=True, tag="coalesced.verify/1"):
    """What recomputing the whole journal gave. `problem` names the first height that does not hold."""

    ok: bool
    checked: int
    head: str
    problem: str = ""
