"""Where a private receipt's rating stands on the community chain."""

from dataclasses import dataclass
from itertools import islice

from crypto.identity import short_id
from node.errors import UsageError
from node.ledger.journal import open_body
from node.store.journal_store import Journal
from node.store.ledger_store import LedgerStore
from protocol.consensus import Committed, decode_header
from protocol.errors import RemoteProtocolError
from protocol.receipts import Receipt, receipt_commitment
from protocol.transactions import RevealRating, open_transaction

LAST_ENTRIES = 100_000
"""How far back in the journal a receipt is looked for."""
LEAST_DIGITS = 4
NAMED = 4
"""Of several receipts that were meant."""


@dataclass(frozen=True, slots=True)
class Rated:
    """A block, and the place of a receipt's rating in it."""

    block: Committed
    place: int


async def find_receipt(journal: Journal, text: str) -> Receipt:
    """The receipt whose id begins with `text`, or whose task's id does; UsageError when there is none, or several."""
    found: dict[bytes, Receipt] = {}
    for entry in await journal.of_kind("receipt", LAST_ENTRIES):
        content = open_body(entry.kind, entry.body)
        if not isinstance(content, Receipt):
            continue
        names = (content.digest.hex(), content.terms.task_id.hex(), (entry.task_id or b"").hex())
        if any(name.startswith(text) for name in names):
            found[content.digest] = content
    if not found:
        raise UsageError(f"{text[:64]!r} names no receipt: this node has no receipt of that id or task")
    if len(found) > 1:  # a task that was done twice to compare, or too few digits
        some = [f"{one.digest.hex()[:12]} of {short_id(one.terms.contractor)}" for one in islice(found.values(), NAMED)]
        raise UsageError(f"{text[:64]!r} names {len(found)} receipts: say which, as {', '.join(some)}")
    return next(iter(found.values()))


async def find_rating(store: LedgerStore, receipt: Receipt) -> Rated | None:
    """The rating that names this receipt by its salted hash: after the job, so earlier blocks are left out."""
    wanted = receipt_commitment(receipt.terms.salt, receipt.body)
    async for page in store.pages(await _first_after(store, receipt.terms.finished_unix_ms)):
        for block in page:
            for place, tx in enumerate(block.block.txs):
                if wanted in tx and _names(tx, wanted):
                    return Rated(block, place)
    return None


def _names(tx: bytes, wanted: bytes) -> bool:
    try:
        opened = open_transaction(tx)
    except RemoteProtocolError:
        return False
    named = opened.rating.terms.receipt_commitment if opened.rating is not None else b""
    return isinstance(opened.terms, RevealRating) and named == wanted


async def _first_after(store: LedgerStore, unix_ms: int) -> int:
    """The first height whose block is not before `unix_ms`: block times never run backwards."""
    low, high = 1, await store.height() + 1
    while low < high:
        middle = (low + high) // 2
        block = await store.block(middle)
        if block is None or decode_header(block.block.header).time_unix_ms >= unix_ms:
            high = middle
        else:
            low = middle + 1
    return low
