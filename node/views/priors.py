"""What market makers say of sellers, here and bought; how far each is believed."""

from typing import Annotated

from msgspec import Meta

from node.views.base import Part, View
from protocol.fields import Label


class PriorRow(Part, frozen=True, kw_only=True):
    """What probes of one seller came to. Counts are in thousandths: each probe weighs less the older it is."""

    skill: str
    peer: str
    did: str
    maker: str = ""
    """Who says so; empty: this node's own probes."""
    probes: int
    good_milli: int
    bad_milli: int
    faults: int = 0
    """Of the bad ones, those for which the maker's word is all there is."""
    billed_ppm: int | None = None
    """What accepted work was billed at over what was quoted."""
    latency_ppm: int | None = None
    """Median of how long it took over what was promised."""
    last_unix_ms: int


class MakerRow(Part, frozen=True, kw_only=True):
    """One market maker that this node had to do with, or that its owner named."""

    peer: str
    did: str
    named: bool
    believed_ppm: int
    """What its counts are multiplied by."""
    compared: int = 0
    """Jobs that were held against its words."""
    surprises: int = 0
    """Of those, how many its words had made less probable."""
    bought: int = 0
    """Documents."""
    problem: str = ""
    """What was wrong with the last one, if it was refused."""


class DocumentRow(Part, frozen=True, kw_only=True):
    """One bought document, for anybody to check."""

    maker: str
    did: str
    skill: str
    token: str
    bought_unix_ms: int
    expires_unix_ms: int
    paid_micro: int
    opened: int
    """Receipts behind it that were shown; 0: it was not due."""


class ProbingRow(Part, frozen=True, kw_only=True):
    """What a node that is a market maker does."""

    skills: tuple[str, ...]
    budget_micro: int
    spent_micro: int
    """In the last 24 hours."""
    sold: int
    """Documents since the start."""


class PriorsView(View, frozen=True, kw_only=True, tag="coalesced.priors/1"):
    """Everything that is known of sellers by probes."""

    sellers: tuple[PriorRow, ...]
    makers: tuple[MakerRow, ...] = ()
    documents: tuple[DocumentRow, ...] = ()
    probing: ProbingRow | None = None
    """None for a node that is no market maker."""


class BuyPriorsRequest(View, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="coalesced.buy-priors/1"):
    """Buy what market makers know of the sellers of a skill."""

    skill: Label
    makers: Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=16)] = ()
    """Short ids or did:keys; empty: those that are named in the configuration, or else found."""
