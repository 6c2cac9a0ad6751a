"""What market makers say of sellers."""

from typing import Required, TypedDict


class PriorRow(TypedDict):
    skill: str
    peer: str
    did: str
    maker: str
    probes: int
    good_milli: int
    bad_milli: int
    faults: int
    billed_ppm: int | None
    latency_ppm: int | None
    last_unix_ms: int


class MakerRow(TypedDict):
    peer: str
    did: str
    named: bool
    believed_ppm: int
    compared: int
    surprises: int
    bought: int
    problem: str


class DocumentRow(TypedDict):
    maker: str
    did: str
    skill: str
    token: str
    bought_unix_ms: int
    expires_unix_ms: int
    paid_micro: int
    opened: int


class ProbingRow(TypedDict):
    skills: list[str]
    budget_micro: int
    spent_micro: int
    sold: int


class Priors(TypedDict):
    schema: str
    sellers: list[PriorRow]
    makers: list[MakerRow]
    documents: list[DocumentRow]
    probing: ProbingRow | None


class BuyPriorsRequest(TypedDict, total=False):
    skill: Required[str]
    makers: list[str]
