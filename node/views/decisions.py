"""Decisions, with everything that they rest on."""

from typing import Literal

from node.views.base import Part, View
from node.views.market import MarketFlag


class OptionRow(Part, frozen=True, kw_only=True):
    """One way of getting the work done, in expected money. price + time + risk + verify = total.

    `price` is what is paid (or burnt here) in expectation with communication and integration, `time` the cost of
    waiting, `risk` what failure and breach are expected to cost, `verify` the cost of checking.
    """

    name: str
    """`local`, or the seller's short id."""
    did: str = ""
    endpoint: str = ""
    level: str = "none"
    quoted_micro: int | None = None
    price_micro: int
    time_micro: int
    risk_micro: int
    verify_micro: int
    total_micro: int
    success_ppm: int
    latency_s: float = 0.0
    topsis_ppm: int | None = None
    chosen: bool = False
    feasible: bool = True
    note: str = ""
    """Why it is out, when it is: "over budget", "does not fit: 12 GB of 8 GB"."""


class NoOfferRow(Part, frozen=True, kw_only=True):
    """A seller that was found and made no offer."""

    name: str
    did: str = ""
    code: str = ""
    """Its own word where it declined; `region`, `closed`: by its advert; `security`: it may not see the input."""
    reason: str


class DecisionView(View, frozen=True, kw_only=True, tag="coalesced.decision/1"):
    """A decision and everything that it rests on, best option first."""

    task_id: str = ""
    skill: str
    choice: Literal["local", "outsource", "none"]
    contractor: str = ""
    level: str = "none"
    options: tuple[OptionRow, ...]
    no_offers: tuple[NoOfferRow, ...] = ()
    """Who else sells this, and why it is no option; none in a decision that was made again."""
    reasons: tuple[str, ...]
    """Whole sentences, the deciding one first: "Local wins if its p95 falls under 9 s." """
    explored: bool = False
    local_micro: int | None = None
    """Expected total cost here; None when this node cannot do it."""
    saving_micro: int | None = None
    """What hiring saves against local_micro; None when this node cannot do it: there is nothing to compare with."""
    decided_unix_ms: int = 0
    policy: str = ""
    """The rule that chose."""
    runner_up: str = ""
    """The best seller that was not chosen."""
    limit_micro: int | None = None
    """What a hire has to stay below."""
    audited: bool = False
    """The work could be accepted unseen, and the draw over the quote says that it is checked."""
    audit_ppm: int = 0
    """How often the chosen seller's unseen work is checked."""
    local_samples: int = 0
    local_error_ppm: int | None = None
    """Runs behind the local time, and how far predictions of it were off on average; None before two runs."""
    exploration_ppm: int = 0
    exploration_target_ppm: int = 0
    """How often the policy has explored lately, and how often it is meant to."""
    market: tuple[MarketFlag, ...] = ()
    """What the market screens said about this skill when it was decided."""


class ReplayView(View, frozen=True, kw_only=True, tag="coalesced.replay/1"):
    """A stored decision, made again from its stored inputs."""

    task_id: str
    number: int
    """Which of the task's decisions, from 1."""
    same: bool
    """Made again, it is the stored one to the last bit."""
    inputs_sha256: str
    differs: tuple[str, ...] = ()
    """Which parts are not the same; none unless another version of the program made it."""
    decision: DecisionView
    """As made again; with what the request asked to be otherwise."""
