"""The node itself."""

from typing import TypedDict

from coalesced.control.shapes.base import Problem
from coalesced.control.shapes.ledger import LedgerBrief


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
    roles: list[str]
    tasks: dict[str, int]
    spent_today_micro: int
    cap_today_micro: int
    earned_today_micro: int
    journal_height: int
    ledger: LedgerBrief | None
    openai_url: str
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
