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
    height: int
    blocks: list[bytes]  # base64 in JSON


class LedgerProof(TypedDict):
    schema: str
    chain: str
    height: int
    about: str
    proof: bytes  # base64 in JSON
