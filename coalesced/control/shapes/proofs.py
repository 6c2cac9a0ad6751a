"""Certificates about nodes, what they proved, what they were seen to compute."""

from typing import Required, TypedDict


class StatementRow(TypedDict):
    about: str
    text: str
    believed: bool


class CertificateRow(TypedDict):
    issuer: str
    issuer_did: str
    serial: str
    issued_unix_ms: int | None
    expires_unix_ms: int | None
    holds: bool
    reason: str
    problem: str
    revocations_unix_ms: int | None
    statements: list[StatementRow]


class Certificates(TypedDict):
    schema: str
    peer: str
    did: str
    certificates: list[CertificateRow]


class CertifyRequest(TypedDict, total=False):
    peer: Required[str]
    skills: list[str]
    resources: list[str]
    days: int


class Credential(TypedDict):
    schema: str
    peer: str
    did: str
    serial: str
    expires_unix_ms: int
    document: str


class KeepRequest(TypedDict):
    document: str


class AtLeast(TypedDict):
    schema: str
    peer: str
    name: str
    at_least: int
    hidden: bool
    shown: bool
    issuers: list[str]
    reason: str
    problem: str


class Attestation(TypedDict):
    schema: str
    peer: str
    did: str
    size: int
    rounds: int
    memory_mib: int
    holds: bool
    problem: str
    least_rtt_s: float
    elapsed_s: float
    rate_gops: float
    checked_s: float
    received_bytes: int
    fill_s: float | None
    answer_s: float | None


class SkillTestRequest(TypedDict, total=False):
    peer: Required[str]
    skill: Required[str]
    items: Required[str]
    claimed_ppm: int
    too_low_ppm: int
    most: int
    budget_micro: int | None


class SkillTest(TypedDict):
    schema: str
    peer: str
    did: str
    skill: str
    verdict: str
    good: int
    bad: int
    paid_micro: int
    items_root: str
    items: int
    unix_ms: int
    ended: str


class TestedRow(TypedDict):
    skill: str
    verdict: str
    good: int
    bad: int
    items_root: str
    unix_ms: int


class AttestedRow(TypedDict):
    unix_ms: int
    reason: str
    done: bool
    holds: bool
    size: int
    rounds: int
    memory_mib: int
    rate_gops: float
    problem: str


class CanaryRow(TypedDict):
    skill: str
    good: int
    bad: int
    unix_ms: int


class ProvedRow(TypedDict):
    name: str
    at_least: int
    issuer: str
    unix_ms: int


class Examined(TypedDict):
    schema: str
    peer: str
    did: str
    attested_unix_ms: int | None
    attestation_holds: bool
    rate_gops: float
    problem: str
    drift: str
    drift_unix_ms: int | None
    leaks: int
    tests: list[TestedRow]
    attestations: list[AttestedRow]
    canaries: list[CanaryRow]
    proved: list[ProvedRow]


class Leak(TypedDict):
    schema: str
    token: str
    task: str
    sellers: list[str]
    dids: list[str]


class LeakRequest(TypedDict):
    text: str
