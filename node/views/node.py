"""The node itself: its status and its health."""

from node.views.base import CheckStatus, Part, Problem, View
from node.views.ledger import LedgerBrief


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
    roles: tuple[str, ...] = ()
    """What it is beside a node that buys and sells: `registry`, `market-maker`."""
    tasks: dict[str, int]
    """Tasks kept by this node, by state."""
    spent_today_micro: int
    cap_today_micro: int
    earned_today_micro: int = 0
    journal_height: int
    ledger: LedgerBrief | None = None
    """How it stands with its community chain; None when it is to have none."""
    openai_url: str = ""
    """The base address for OpenAI clients; empty while that endpoint is off."""
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
