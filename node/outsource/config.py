"""What the two roles wait for, accept and spend at most."""

from typing import Annotated

import msgspec
from msgspec import Meta

from node.errors import UsageError
from protocol.fields import Name
from protocol.specification import Effort, Level, Privacy

PositiveSeconds = Annotated[float, Meta(gt=0, le=10**6)]
MicroSetting = Annotated[int, Meta(ge=0, le=10**15)]
ByteSetting = Annotated[int, Meta(ge=1024, le=2**40)]


class ClientConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The buying side. A request's own wishes come before the defaults here."""

    default_deadline_s: PositiveSeconds = 300.0
    """Five minutes: longer than any builtin skill needs, short enough to notice that something is wrong."""
    default_budget_micro: MicroSetting = 250_000
    """A quarter a task: what one peer may cost at most by the default caps."""
    default_privacy: Privacy = "internal"
    honeytokens: bool = False
    """Whether confidential text gets a last line with a unique reference, by which a leak names who was sent it."""
    default_effort: Effort = "full"
    default_least_level: Level = "none"
    """The engine chooses the verification level; this is only its floor."""
    max_input_bytes: ByteSetting = 64 * 2**20
    max_output_bytes: ByteSetting = 64 * 2**20
    max_sellers: Annotated[int, Meta(ge=1, le=200)] = 20
    """Sellers asked for a quote per task: the k of one look-up."""
    find_timeout_s: PositiveSeconds = 3.0
    quote_timeout_s: PositiveSeconds = 3.0
    """A seller that needs longer to quote is no help to a task of seconds."""
    unasked_most: Annotated[int, Meta(ge=0, le=10_000)] = 20
    """Tasks of a kind in a row about which nobody is asked, where no order can pay: one round in 21 is a twentieth of
    what asking costs, and finds a market that has become cheap. 0: sellers are asked about every task."""
    receipt_timeout_s: PositiveSeconds = 10.0
    max_running_tasks: Annotated[int, Meta(ge=1, le=10_000)] = 256
    """More are refused with `busy`, so that a flood of asks cannot exhaust memory."""
    planner: Annotated[str, Meta(max_length=64)] = ""
    """The label of a model that this node sells, such as "llm/llama3.1-8b": it divides goals into plans. Empty: goals
    are divided by rule."""
    max_plan_steps_at_once: Annotated[int, Meta(ge=1, le=1_000)] = 16
    """Steps of one plan under way together: keeps a dozen sellers busy, and far below the executor's queue."""


class ContractorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The selling side."""

    sell: bool = True
    skills: tuple[str, ...] = ("document-analysis", "portfolio", "risk", "sentiment")
    """Builtin skills on sale; what `coalesced sell` adds is remembered beside it."""
    by_meaning: bool = True
    """Also publish each at the captions that it is near, so that those find it who do not know its label: about five
    records more for each skill."""
    has: Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=6)] = ()
    """Resource terms of what this node has, such as `hasResource/gpu/nvidia/h100`: published beside its skills."""
    quote_valid_s: PositiveSeconds = 60.0
    """How long a quoted price binds: long enough to compare, short enough that load has not changed."""
    max_queued_jobs: Annotated[int, Meta(ge=0, le=10_000)] = 8
    """Jobs waiting beside the running ones; above it, requests are declined as busy. Strangers may fill half of it."""
    max_input_bytes: ByteSetting = 64 * 2**20
    max_output_bytes: ByteSetting = 64 * 2**20
    max_quotes_per_peer: Annotated[int, Meta(ge=1, le=100_000)] = 64
    """Unexpired quotes one peer may hold; the next request is declined, which bounds a quote flood."""
    quotes_per_s: Annotated[float, Meta(gt=0, le=100_000)] = 100.0
    """How fast requests are answered: to each client that has paid here before, and to all strangers together. What
    comes faster waits. A hundred quotes take about a tenth of a core."""
    max_unsigned_jobs: Annotated[int, Meta(ge=1, le=10_000)] = 8
    """Jobs without a receipt, in ten minutes, after which a client is declined; each receipt that it ever signed allows
    one more. An honest client signs within seconds."""
    privacy: Privacy = "confidential"
    """The most sensitive work taken on; more is declined."""
    regions: Annotated[tuple[Name, ...], Meta(max_length=4)] = ()
    """Where this node is, as its adverts say; a task that names regions is only taken if one matches."""
    libraries: tuple[str, ...] = ()
    """Libraries and tools that work here may use, by name; a task that names another is declined."""
    claimed_success_ppm: Annotated[int, Meta(ge=0, le=1_000_000)] = 980_000
    """Claimed in quotes: own work fails only when the machine does, and clients discount claims anyway."""
    drain_timeout_s: PositiveSeconds = 30.0

    def __post_init__(self) -> None:
        if not self.has:
            return
        from node.skills.meaning.ontology import check_resource  # reads the ontology, which most nodes do later

        for term in self.has:
            try:
                check_resource(term)
            except UsageError as error:
                raise ValueError(f"has: {error}") from error
