"""The seam between hiring and paying: what either role asks of whatever settles."""

from dataclasses import dataclass
from typing import Protocol

from node.tasks.content import Content
from protocol.messages import Quote
from protocol.receipts import Signed
from protocol.signed import QuoteTerms, ResultTerms


@dataclass(frozen=True, slots=True)
class Charge:
    """What settling with one seller costs beside its price, and how long it delays the work."""

    fee_micro: float = 0.0
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """A rejected result with all that its judgement rests on: what an arbiter is shown when there is a dispute."""

    quote: Quote
    specification: bytes
    work: Content
    result: Signed[ResultTerms]
    delivered: bytes
    """Without its media type, which nobody signs: it is the skill's."""


class Adapter(Protocol):
    """Pays for hired work. `quote`: the packed and signed terms that client and seller both hold of one job."""

    # --- the client

    def charge(self, terms: QuoteTerms) -> Charge | str:
        """What settling with this seller costs; or why this node cannot pay it as it wants to be paid."""

    async def lock(self, quote: bytes, terms: QuoteTerms, task_id: bytes, *, remaining_s: float) -> str:
        """Lock the price before the award is sent, if the seller asks for it; empty, or why it is not locked."""

    async def judged(self, quote: bytes, rejected: Exhibit | None) -> None:
        """The journal says how the job ended; pay, or show what was rejected."""

    # --- the seller

    def wanted(self, client: bytes, price_micro: int) -> bytes | None:
        """The chain on which the price is to be locked before this node works; None: it need not be."""

    async def check(self, quote: bytes, terms: QuoteTerms) -> str:
        """Empty when the price is locked as the quote asks, so that work may begin; else why it may not."""

    def ended(self, quote: bytes) -> None:
        """The work is over. Is it delivered, by the journal, ask for the pay; else give back what is locked."""

    # --- both

    async def run(self) -> None:
        """See every payment to its end, for ever."""
