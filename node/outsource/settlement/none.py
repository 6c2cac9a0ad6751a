"""No settlement: receipts say what is owed, and how it is paid is the parties' own affair."""

from node.outsource.settlement.adapter import Charge, Exhibit
from protocol.signed import QuoteTerms


class NoSettlement:
    """The adapter `none`."""

    def charge(self, terms: QuoteTerms) -> Charge | str:
        """Nothing; unless the seller insists on an escrow."""
        if terms.escrow_chain is None:
            return Charge()
        return f"it wants its price locked on chain {terms.escrow_chain.hex()[:16]}: set settlement.adapter to credits"

    async def lock(self, quote: bytes, terms: QuoteTerms, task_id: bytes, *, remaining_s: float) -> str:
        """Nothing to lock."""
        return ""

    async def judged(self, quote: bytes, rejected: Exhibit | None) -> None:
        """The receipt is all there is."""

    def wanted(self, client: bytes, price_micro: int) -> bytes | None:
        """No escrow."""
        return None

    async def check(self, quote: bytes, terms: QuoteTerms) -> str:
        """Work may begin, unless the seller asked for an escrow before its settings were changed."""
        return "" if terms.escrow_chain is None else "this node no longer takes credits"

    def ended(self, quote: bytes) -> None:
        """The receipt will say what is owed."""

    async def run(self) -> None:
        """Nothing to see to."""
