"""Receipts that were offered and never answered, because this node stopped: asked for again after a restart."""

import asyncio
from typing import Final

import structlog

from node.errors import NodeError
from node.ledger.journal import open_body
from node.net.endpoint import Endpoint, endpoint
from node.outsource.client.listings import Listings
from node.outsource.client.orders import Orders
from node.outsource.client.settlement import Order
from node.store.journal_store import Journal
from node.store.peers import KnownPeers
from protocol.errors import RemoteProtocolError
from protocol.receipts import Signed
from protocol.signed import ReceiptTerms

log = structlog.get_logger()

LAST_ENTRIES: Final = 2_000
"""How far back in the journal is looked: some 600 jobs, more than were ever under way at once."""
AT_ONCE: Final = 8
LOOK_AGAIN_S: Final = 5.0
LOOKS: Final = 6
"""Half a minute for a seller to be found again: both sides may come back from the same power cut."""


class Unanswered:
    """Takes up what the last run left open."""

    def __init__(self, *, journal: Journal, orders: Orders, peers: KnownPeers, listings: Listings) -> None:
        self._journal = journal
        self._orders = orders
        self._peers = peers
        self._listings = listings

    async def ask_again(self) -> None:
        """Have each countersigned now, or record that its contractor did not."""
        places = asyncio.Semaphore(AT_ONCE)

        async def one(task_id: bytes, offered: Signed[ReceiptTerms]) -> None:
            terms = offered.terms
            async with places:
                order = Order(
                    task_id=task_id,
                    order_id=terms.task_id,
                    network=terms.network,
                    skill=terms.skill,
                    contractor=terms.contractor,
                    endpoint=await self._where(terms),
                )
                await self._orders.collect(order, offered)

        found = await self._open()
        if found:
            log.info("receipts.asked_for_again", count=len(found))
        for failure in await asyncio.gather(*(one(*each) for each in found), return_exceptions=True):
            match failure:
                case None:
                    pass
                case NodeError():
                    # Its task is past its retention, or the disk is full: the others are not to wait for it.
                    log.warning("receipt.not_recorded", error=str(failure))
                case _:
                    raise failure

    async def _open(self) -> list[tuple[bytes, Signed[ReceiptTerms]]]:
        """The offered receipts of which the journal tells no end, with what this node calls their tasks."""
        found = []
        for entry in await self._journal.of_kind("receipt_offer", LAST_ENTRIES):
            try:
                content = open_body(entry.kind, entry.body)
            except RemoteProtocolError as error:
                log.error("receipt.unreadable", height=entry.height, error=error.text)
                continue
            assert isinstance(content, Signed)
            assert isinstance(content.terms, ReceiptTerms)
            if content.terms.client != self._journal.owner:
                continue  # Offered under a key that was passed on since: it is no client of anybody any more.
            offered = Signed(content.terms, content.body, content.signature)
            entries = await self._journal.of_task(offered.terms.task_id)
            if not any(other.kind in ("receipt", "fault") for other in entries):
                found.append((entry.task_id or offered.terms.task_id, offered))
        return found

    async def _where(self, terms: ReceiptTerms) -> Endpoint | None:
        """Where the contractor is: as last met, or as it advertises now."""
        for peer in await self._peers.known():
            if peer.public_key == terms.contractor:
                return endpoint(peer.host, peer.port)
        for look in range(LOOKS):
            await asyncio.sleep(LOOK_AGAIN_S if look else 0)
            for listing in await self._listings.of(terms.skill):
                if listing.seller.key == terms.contractor:
                    return listing.seller.endpoint
        return None
