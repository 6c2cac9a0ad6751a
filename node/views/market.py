"""Peers, skills, sellers, and what is on sale here."""

from typing import Annotated

import msgspec
from msgspec import Meta

from node.views.agents import AgentSource
from node.views.base import Part, View
from node.views.models import ModelSource
from protocol.fields import Label, Micro


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
    checks: tuple[str, ...] = ()
    """What can be checked of its results beside the levels: `ask --verify`."""
    sold: bool = False
    price_hint_micro: int | None = None
    """What one work unit costs when this node is idle, rounded up: nothing to multiply by."""
    seconds_per_unit: float | None = None
    """Calibrated on this machine at full effort; None before the first run."""
    source: str = "builtin"
    """`builtin`, or the `module:function` that the owner sells."""
    unit: str = ""
    """What a work unit is: "random draws", "characters"."""
    example: str = ""
    """A small input that fits; empty for a skill that takes arbitrary bytes."""
    example_units: int = 0
    example_s: float | None = None
    """About how long the example takes here."""
    example_price_micro: int | None = None
    """What this node asks for the example when it is idle; None where the skill is not on sale."""


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
    source: str = ""
    """Who showed the advert: DHT, registry HOST:PORT, cache, local network."""
    hours: str = ""
    """Until or from when it is open, in words; empty for a seller that says nothing of it."""
    reached_unix_ms: int | None = None
    """When it answered just now; None where nobody was spoken to."""


class AbsentRow(Part, frozen=True, kw_only=True):
    """A seller that advertises and could not be reached: it crashed, or is cut off."""

    peer: str
    did: str
    source: str = ""
    expires_unix_ms: int
    """Until when its advert stands."""
    last_seen_unix_ms: int | None = None
    """When this node last had to do with it; None for never."""


class MarketFlag(Part, frozen=True, kw_only=True):
    """A screen's alarm about a market: a reason to look, and no proof. The rates are the simulator's."""

    screen: str
    peer: str = ""
    """The seller that it is about; empty where it is the market as a whole."""
    text: str
    false_alarms_ppm: int
    """How often the screen speaks where nothing is wrong."""
    detected_ppm: int | None = None
    """How often it speaks where something is; None where that was not measured."""


class ShareRow(Part, frozen=True, kw_only=True):
    """One seller's part of this node's last 50 awards of a skill."""

    peer: str
    awards: int
    share_ppm: int


class MarketRow(Part, frozen=True, kw_only=True):
    """The market of one skill, from this node's last 100 rounds of quotes and its last 50 awards."""

    skill: str
    rounds: int
    """Tasks that sellers were asked about."""
    sellers: int
    """That were asked."""
    quotes: int
    variation_ppm: int | None = None
    """Median coefficient of variation of the quotes for one task; None without two quotes for one."""
    spread_ppm: int | None = None
    """Median of the highest quote for a task over the lowest."""
    lowest_micro: int | None = None
    highest_micro: int | None = None
    """Of the latest task that anybody quoted for."""
    awards: int = 0
    hhi: int | None = None
    """Concentration index of the awards, 0 to 10,000; None for fewer than 20."""
    shares: tuple[ShareRow, ...] = ()
    flags: tuple[MarketFlag, ...] = ()


class MarketView(View, frozen=True, kw_only=True, tag="coalesced.market/1"):
    """What this node has seen of its markets."""

    markets: tuple[MarketRow, ...]


class SellersView(View, frozen=True, kw_only=True, tag="coalesced.sellers/1"):
    """Who sells a skill, as the first source that knows anybody answered just now."""

    skill: str
    sellers: tuple[SellerRow, ...]
    """Those that answered."""
    absent: tuple[AbsentRow, ...] = ()


class MatchRow(Part, frozen=True, kw_only=True):
    """One skill that fits a request, and the parts of eq. (12) that say so."""

    skill: str
    peer: str
    """Who offers it; empty for this node."""
    did: str = ""
    caption: str
    price_hint_micro: int | None
    """What a unit costs; None for this node's own work, whose cost `decide` predicts."""
    score_ppm: int
    ontological_ppm: int
    embedding_ppm: int
    performance_ppm: int
    success_ppm: int | None
    """Pessimistic success probability from receipts; None for a stranger, and for this node."""
    source: str = ""
    """Who showed it: DHT, registry HOST:PORT, cache, local network; empty for this node."""
    terms: tuple[str, ...] = ()
    """Resource terms of what the agent says it has."""
    reached_unix_ms: int | None = None
    """When it answered just now; None for this node."""


class MatchesView(View, frozen=True, kw_only=True, tag="coalesced.matches/1"):
    """What fits a request by its meaning, best first."""

    text: str
    captions: tuple[str, ...]
    """The terms of the taxonomy that were looked under, nearest first."""
    about: str = ""
    """Whether the text was taken to be about work or about everyday life, and by what."""
    matches: tuple[MatchRow, ...]
    """Of this node, and of those that answered."""
    absent: tuple[AbsentRow, ...] = ()


class SellRequest(View, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="coalesced.sell/1"):
    """Offer a skill: a label that this node has, `module:function` in the caller's directory, or what `remote` does."""

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
    environment: Annotated[dict[str, str], Meta(max_length=1024)] = msgspec.field(default_factory=dict)
    remote: ModelSource | AgentSource | None = None
    """What does the work, where it is done elsewhere; `target` then only names it for its owner."""
    shown: Annotated[str, Meta(max_length=256)] = ""
    """What its owner sees as its source, where `target` would not tell; empty: `target`."""
    hours: Annotated[str, Meta(max_length=200)] = ""
    """When it is on sale: `mon-fri 9-17 Europe/Berlin`; empty: always."""


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
