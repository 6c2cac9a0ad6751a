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
