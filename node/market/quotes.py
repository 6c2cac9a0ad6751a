"""The life of a quote: open until it is awarded or expires, and what it binds.

    open --award--> awarded          open --time--> expired

Two machines' clocks differ, so each side judges by its own: the seller by the moment in its own quote, the client
by the quote's lifetime counted from when it came.
"""

from dataclasses import dataclass, replace
from typing import Literal

from protocol.signed import QuoteTerms
from protocol.specification import Effort

MAX_LIFETIME_MS = 24 * 3_600_000
"""A price that binds for longer than a day is a mistake or bait."""

QuoteState = Literal["open", "expired", "awarded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteAsked:
    """What a client asked one seller: a quote must be about exactly this."""

    task_id: bytes
    specification_sha256: bytes
    network: str
    client: bytes
    contractor: bytes
    skill: str
    effort: Effort


@dataclass(frozen=True, slots=True)
class HeldQuote:
    """A quote in one party's books, with the moment, by that party's clock, until which it can be awarded."""

    terms: QuoteTerms
    until_unix_ms: int
    awarded_unix_ms: int | None = None


def check_quote(terms: QuoteTerms, asked: QuoteAsked) -> str | None:
    """Why a received quote cannot be used; None when it answers what was asked.

    The signature was verified before. Every difference is the seller's fault.
    """
    if terms.task_id != asked.task_id:
        return f"it is for task {terms.task_id.hex()}, not {asked.task_id.hex()}"
    if terms.specification_sha256 != asked.specification_sha256:
        return "it is for another specification of the task"
    if terms.network != asked.network:
        return f"it is for network {terms.network!r}, not {asked.network!r}"
    if terms.client != asked.client:
        return "it is made out to another client"
    if terms.contractor != asked.contractor:
        return "it names another contractor than the one that was asked"
    if terms.skill != asked.skill:
        return f"it offers skill {terms.skill!r}, not {asked.skill!r}"
    if terms.effort != asked.effort:
        return f"it offers {terms.effort} effort, not {asked.effort}"
    if terms.p95_ms < terms.duration_ms:
        return f"its p95 of {terms.p95_ms} ms is below its expected {terms.duration_ms} ms"
    lifetime_ms = terms.expires_unix_ms - terms.issued_unix_ms
    if not 0 < lifetime_ms <= MAX_LIFETIME_MS:
        return f"it is valid for {lifetime_ms} ms; the limits are 1 and {MAX_LIFETIME_MS}"
    return None


def hold_received(terms: QuoteTerms, received_unix_ms: int) -> HeldQuote:
    """The client's side of a checked quote: usable for its lifetime from now."""
    return HeldQuote(terms, received_unix_ms + terms.expires_unix_ms - terms.issued_unix_ms)


def hold_issued(terms: QuoteTerms) -> HeldQuote:
    """The seller's side of its own quote."""
    return HeldQuote(terms, terms.expires_unix_ms)


def state(held: HeldQuote, now_unix_ms: int) -> QuoteState:
    """Where the quote stands. One that was awarded in time stays awarded."""
    if held.awarded_unix_ms is not None:
        return "awarded"
    return "open" if now_unix_ms < held.until_unix_ms else "expired"


def award(held: HeldQuote, now_unix_ms: int) -> HeldQuote:
    """The quote, awarded; ValueError unless it is open: a quote is awarded once, and in time."""
    found = state(held, now_unix_ms)
    if found != "open":
        raise ValueError(f"the quote {held.terms.quote_id.hex()} is {found}: ask for a new one")
    return replace(held, awarded_unix_ms=now_unix_ms)


def binds(terms: QuoteTerms, invoice_micro: int) -> bool:
    """Whether the quote covers the invoice: a seller may ask for less than it quoted, never for more."""
    return 0 <= invoice_micro <= terms.price_micro
