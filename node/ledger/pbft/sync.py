"""Catching up: blocks with certificates, page by page; from those who keep none so old, a state (fetching.py)."""

from node.ledger.pbft import fetching
from node.ledger.pbft.certified import uncertified
from node.ledger.pbft.effects import SendBlocks
from node.ledger.pbft.normal import commit_certified
from node.ledger.pbft.opened import OpenBlocks, OpenCommitted
from node.ledger.pbft.peers import ask_another, ask_on, help_behind, may_help, note_ahead
from node.ledger.pbft.state import Now, Replica, S
from protocol.consensus import MAX_PAGE_BLOCKS, PAGE_BYTES, Blocks, Status, SyncRequest
from protocol.errors import RemoteProtocolError


def take_status(r: Replica[S], now: Now, sender: bytes, status: Status) -> None:
    """A peer says how far it is."""
    if status.height > r.head.height:
        note_ahead(r, now, sender, status.height)
    elif status.height < r.head.height or status.view < r.view:
        help_behind(r, now, sender, status.height, status.view)


def take_request(r: Replica[S], now: Now, sender: bytes, request: SyncRequest) -> None:
    """A peer asks for blocks: not twice for the same ones in a short time."""
    if request.height <= r.head.height and may_help(r, now, sender, (request.height, -1)):
        r.emit(SendBlocks(sender, max(request.height, 1)))


def take_blocks(r: Replica[S], now: Now, sender: bytes, opened: OpenBlocks) -> None:
    """Commit what follows the head, as far as q members' COMMITs vouch for it."""
    before = r.head.height
    for committed in opened.blocks:
        if committed.block.header.height <= r.head.height:
            continue
        if why := refused(r, committed):
            # What came before it in the page is committed and stays so.
            ask_another(r, now)
            raise RemoteProtocolError("forged_block", why)
        if not commit_certified(r, now, committed.block, committed.certificate):
            return
    if r.head.height > before:
        if opened.message.head_height > r.head.height:
            note_ahead(r, now, sender, opened.message.head_height)
            ask_on(r, now, sender, gave_little=is_little(opened.message))
        else:
            r.asking.peer = None
    elif sender == r.asking.peer and opened.message.first_height > r.height:
        fetching.begin(r, now, sender)


def is_little(page: Blocks) -> bool:
    """Whether a page is far from as large as pages are."""
    size = sum(len(tx) for committed in page.blocks for tx in committed.block.txs)
    return len(page.blocks) < MAX_PAGE_BLOCKS and size < PAGE_BYTES // 2


def refused(r: Replica[S], committed: OpenCommitted) -> str | None:
    """Why a block with a certificate is not the next one; None when it is."""
    header = committed.block.header
    if (header.chain, header.height, header.previous) != (r.chain, r.height, r.head.hash):
        return f"block {header.height} does not follow the head at {r.head.height}"
    return uncertified(committed.certificate, r.committee)
