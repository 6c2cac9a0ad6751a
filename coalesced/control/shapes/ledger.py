"""The community chain."""

from typing import TypedDict


class LedgerBrief(TypedDict):
    chain: str
    name: str
    role: str
    height: int
    view: int
    members: int
    tolerates: int
    lag: int
    problem: str


class LedgerHead(TypedDict):
    schema: str
    chain: str
    name: str
    origin: str
    role: str
    height: int
    block: str
    at_unix_ms: int
    state_root: str
    signers: list[str]
    view: int
    stage: str
    primary: str
    members: int
    quorum: int
    tolerates: int
    waiting: int
    lag: int
    dropped: int
    unreachable: list[str]
    problem: str


class MemberRow(TypedDict):
    member: str
    did: str
    is_primary: bool
    is_self: bool
    signed_last: bool
    unreachable: bool


class LedgerMembers(TypedDict):
    schema: str
    chain: str
    height: int
    quorum: int
    tolerates: int
    members: list[MemberRow]


class LedgerVerify(TypedDict):
    schema: str
    ok: bool
    chain: str
    first_height: int
    height: int
    transactions: int
    block: str
    state_root: str
    problem: str


class LedgerDone(TypedDict):
    schema: str
    transaction: str
    height: int


class LedgerBlocks(TypedDict):
    schema: str
    genesis: str
    first: int
    kept_from: int
    height: int
    blocks: list[bytes]  # base64 in JSON


class DealRow(TypedDict):
    deal: str
    role: str
    client: str
    client_did: str
    contractor: str
    arbiter: str
    stage: str
    credits: int
    asked_credits: int
    due_unix_ms: int


class LedgerAccount(TypedDict):
    schema: str
    chain: str
    height: int
    peer: str
    did: str
    standing: str
    credits: int
    bond: int
    locked_credits: int
    has_successor: bool
    deals: list[DealRow]
    next_sequence: int | None


class LedgerProof(TypedDict):
    schema: str
    chain: str
    height: int
    about: str
    proof: bytes  # base64 in JSON
    receipt: list[bytes]  # the same
