"""Peers, skills, sellers, and what is on sale here."""

from typing import Required, TypedDict

from coalesced.control.shapes.agents import AgentSource
from coalesced.control.shapes.models import ModelSource


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
    checks: list[str]
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
    source: str
    hours: str
    reached_unix_ms: int | None


class AbsentRow(TypedDict):
    peer: str
    did: str
    source: str
    expires_unix_ms: int
    last_seen_unix_ms: int | None


class MarketFlag(TypedDict):
    screen: str
    peer: str
    text: str
    false_alarms_ppm: int
    detected_ppm: int | None


class ShareRow(TypedDict):
    peer: str
    awards: int
    share_ppm: int


class MarketRow(TypedDict):
    skill: str
    rounds: int
    sellers: int
    quotes: int
    variation_ppm: int | None
    spread_ppm: int | None
    lowest_micro: int | None
    highest_micro: int | None
    awards: int
    hhi: int | None
    shares: list[ShareRow]
    flags: list[MarketFlag]


class Market(TypedDict):
    schema: str
    markets: list[MarketRow]


class Sellers(TypedDict):
    schema: str
    skill: str
    sellers: list[SellerRow]
    absent: list[AbsentRow]


class MatchRow(TypedDict):
    skill: str
    peer: str
    did: str
    caption: str
    price_hint_micro: int | None
    score_ppm: int
    ontological_ppm: int
    embedding_ppm: int
    performance_ppm: int
    success_ppm: int | None
    source: str
    terms: list[str]
    reached_unix_ms: int | None


class Matches(TypedDict):
    schema: str
    text: str
    captions: list[str]
    about: str
    matches: list[MatchRow]
    absent: list[AbsentRow]


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


class SellRequest(TypedDict, total=False):
    target: Required[str]
    label: str | None
    caption: str
    price_micro: int | None
    timeout_s: float | None
    memory_bytes: int | None
    directory: str
    environment: dict[str, str]
    remote: ModelSource | AgentSource | None
    hours: str
    shown: str
