"""Who is ahead, who is behind, and what came too early: what peers' messages say beside what they are about."""

from collections import deque

from node.ledger.pbft.effects import Send, SendBlocks
from node.ledger.pbft.opened import Verified
from node.ledger.pbft.state import Asking, Now, Replica, S
from protocol.consensus import MAX_MEMBERS, SyncRequest

MAX_PEERS_KNOWN = 2 * MAX_MEMBERS
"""Of whom it is remembered how far they are: the members and as many observers."""


def put_early(r: Replica[S], now: Now, sender: bytes, answerable: bytes, message: Verified, height: int) -> None:
    """Keep a message of the next height, or of a later view of this one, until it can be used.

    `answerable` is the member whose share of the memory it takes: its signer, or its sender when it has none.
    """
    if height < r.height:
        help_behind(r, now, sender, height - 1, 0)
        return
    if height > r.height:
        note_ahead(r, now, sender, height - 1)
    if height > r.height + 1 or answerable not in r.committee:
        return
    kept = r.early.setdefault(answerable, deque(maxlen=r.config.early_messages_per_sender))
    if (sender, message) not in kept:
        kept.append((sender, message))


def take_early(r: Replica[S]) -> list[tuple[bytes, Verified]]:
    """All that was kept, once after each step onwards: what is still too early is put back."""
    if not r.replay_due:
        return []
    r.replay_due = False
    kept = [entry for messages in r.early.values() for entry in messages]
    r.early.clear()
    return kept


def note_ahead(r: Replica[S], now: Now, peer: bytes, height: int) -> None:
    """`peer` says it has a block of `height`: ask for it, at once when more than one is missing.

    The next one is mostly on its way already, as a proposal and COMMITs.
    """
    if peer == r.me or height <= r.head.height:
        return
    asking = r.asking
    if peer in asking.ahead or peer in r.committee or len(asking.ahead) < MAX_PEERS_KNOWN:
        asking.ahead[peer] = max(height, asking.ahead.get(peer, 0))
    if asking.until_s is None or (asking.peer is None and height > r.height):
        if height > r.height:
            request_blocks(r, now, peer)
        else:
            asking.until_s = now.s + r.config.resend_ms / 1000


def request_blocks(r: Replica[S], now: Now, peer: bytes) -> None:
    """Ask one peer for what follows the head."""
    r.asking.peer, r.asking.until_s = peer, now.s + r.config.sync_timeout_ms / 1000
    r.emit(Send(peer, SyncRequest(height=r.height)))


def ask_another(r: Replica[S], now: Now) -> None:
    """The one who was asked did not help, or nobody was asked yet: the next one who said that it is ahead."""
    asking = r.asking
    if asking.peer is not None:
        asking.ahead.pop(asking.peer, None)
        _goes_last(r, asking.peer)
    asking.peer = asking.until_s = None
    if asking.ahead:
        request_blocks(r, now, _next_asked(r))


def ask_on(r: Replica[S], now: Now, peer: bytes, *, gave_little: bool) -> None:
    """Ask who helped for what follows; or another where it gave little, though it has more: that may take for ever."""
    if gave_little:
        _goes_last(r, peer)
        peer = _next_asked(r)
    request_blocks(r, now, peer)


def _goes_last(r: Replica[S], peer: bytes) -> None:
    in_vain = r.asking.in_vain
    in_vain.pop(peer, None)
    in_vain[peer] = None
    if len(in_vain) > MAX_PEERS_KNOWN:
        del in_vain[next(iter(in_vain))]


def _next_asked(r: Replica[S]) -> bytes:
    """Of those who say that they are ahead, one never asked in vain, else the one for which that was longest ago.

    Anybody may say so, under any number of keys, and never help: after a stranger it is a member's turn.
    """
    asking = r.asking
    turns = {peer: turn for turn, peer in enumerate(asking.in_vain)}
    is_members_turn = bool(turns) and next(reversed(turns)) not in r.committee
    members = [peer for peer in asking.ahead if peer in r.committee] if is_members_turn else []
    return min(members or asking.ahead, key=lambda peer: (turns.get(peer, -1), -asking.ahead[peer], peer))


def lag(r: Replica[S]) -> int:
    """How many blocks are missing here, as far as known: a height that two members have named, one where none may lie.

    No stranger's word, and no single liar's, makes a replica look as if it were behind.
    """
    named = sorted((height for peer, height in r.asking.ahead.items() if peer in r.committee), reverse=True)
    needed = min(r.committee.f + 1, 2)
    return named[needed - 1] - r.head.height if len(named) >= needed else 0


def prune_ahead(r: Replica[S]) -> None:
    """After a step onwards: forget who is ahead no more."""
    ahead = {peer: height for peer, height in r.asking.ahead.items() if height > r.head.height}
    r.asking = Asking(ahead, r.asking.peer, r.asking.until_s, r.asking.in_vain) if ahead else Asking()


def help_behind(r: Replica[S], now: Now, peer: bytes, head_height: int, view: int) -> None:
    """Give a peer what it lacks: blocks, or the NEW-VIEW of this view. Rarely: it may only be a little late."""
    if head_height == r.head.height - 1 and now.s - r.arrived_s < r.config.resend_ms / 1000:
        return
    if peer == r.me or not may_help(r, now, peer, (head_height, view)):
        return
    if head_height < r.head.height:
        r.emit(SendBlocks(peer, max(head_height, 0) + 1))
    elif r.new_view is not None:
        r.emit(Send(peer, r.new_view))


def may_help(r: Replica[S], now: Now, peer: bytes, what: tuple[int, int]) -> bool:
    """Whether to give a peer this; the same not twice in a short time."""
    given, given_s = r.helped.get(peer, ((-1, -1), 0.0))
    if given == what and now.s - given_s < r.config.resend_ms / 1000:
        return False
    r.helped.pop(peer, None)
    r.helped[peer] = (what, now.s)
    if len(r.helped) > MAX_PEERS_KNOWN:
        del r.helped[next(iter(r.helped))]
    return True
