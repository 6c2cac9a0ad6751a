"""Getting rid of a primary: VIEW-CHANGE and NEW-VIEW (Castro & Liskov 1999, 4.4), for one block in flight.

A replica that asks for a view stops voting below it and names the last block it prepared, with proof and body.
q such messages of one height make the view; the highest prepared block among them must be proposed again, and every
backup works that out for itself. Only then may the new primary propose something of its own.
"""

from collections.abc import Iterable

from node.ledger.machine import InvalidBlock
from node.ledger.pbft import blocks
from node.ledger.pbft.effects import Broadcast, Persist
from node.ledger.pbft.normal import accept, halt, sign_vote
from node.ledger.pbft.opened import OpenBlock, OpenChange, OpenNewView, OpenViewChange, OpenVote
from node.ledger.pbft.peers import help_behind, note_ahead, put_early
from node.ledger.pbft.quorum import Committee
from node.ledger.pbft.records import AskedView, EnteredView
from node.ledger.pbft.state import Event, Now, Replica, S, Stage
from protocol.consensus import CHANGE_LABEL, NO_HASH, ChangeTerms, ChangeVote, NewView, Proposal, ViewChange
from protocol.errors import RemoteProtocolError
from protocol.packing import pack

# --- asking


def ask(r: Replica[S], view: int) -> None:
    """Vote no more below `view`; settle() sends the VIEW-CHANGE. What was prepared stays."""
    r.view = view
    r.accepted = r.accepted_hash = r.bound_to = r.new_view = None
    r.timer_s = None
    r.patience = min(r.patience + 1, r.config.max_doublings)
    r.go(Event.ASKED)


def declare(r: Replica[S]) -> bool:
    """Send the VIEW-CHANGE for the view that I am waiting for, once a height. Whether that happened."""
    if r.stage is not Stage.CHANGING or r.declared == (r.height, r.view):
        return False
    r.declared = (r.height, r.view)
    r.emit(Persist(AskedView(height=r.height, view=r.view)))
    mine = view_change(r)
    r.changes[r.me] = mine
    r.emit(Broadcast(mine.message))
    return True


def view_change(r: Replica[S]) -> OpenViewChange:
    """My VIEW-CHANGE, with the last block that I prepared at this height."""
    prepared, block = r.prepared, None
    if prepared is not None:
        block = r.candidates[prepared.ballot.block].block
    terms = ChangeTerms(
        chain=r.chain,
        height=r.height,
        view=r.view,
        prepared_view=prepared.ballot.view if prepared else -1,
        prepared=prepared.ballot.block if prepared else NO_HASH,
    )
    body = pack(terms)
    change = ChangeVote(terms=body, signer=r.me, signature=r.identity.sign(CHANGE_LABEL, body))
    message = ViewChange(
        change=change,
        prepared=prepared.certificate if prepared else None,
        block=block.block if block else None,
    )
    return OpenViewChange(message, OpenChange(change, terms), prepared, block)


def take_view_change(r: Replica[S], now: Now, sender: bytes, opened: OpenViewChange) -> None:
    """File the furthest VIEW-CHANGE of every member; whoever is behind is helped."""
    terms, signer = opened.change.terms, opened.change.change.signer
    if terms.chain != r.chain:
        raise RemoteProtocolError("wrong_chain", "a view change on another chain")
    if signer not in r.committee:
        return
    if terms.height == r.height and not is_proven(opened, r.committee):
        raise RemoteProtocolError("forged_proof", f"a prepared block needs {r.committee.q} members' PREPAREs")
    known = r.changes.get(signer)
    if known is None or order(known.change) < order(opened.change):
        r.changes[signer] = opened
    if terms.height > r.height:
        note_ahead(r, now, sender, terms.height - 1)
    elif terms.height < r.height or terms.view < r.view or r.new_view is not None:
        help_behind(r, now, sender, terms.height - 1, terms.view)


def order(change: OpenChange) -> tuple[int, int]:
    """Which of two VIEW-CHANGEs is further."""
    return change.terms.view, change.terms.height


def is_proven(opened: OpenViewChange, committee: Committee) -> bool:
    """Whether the prepared block that it names, if any, has q members' PREPAREs."""
    return opened.prepared is None or committee.has_quorum(opened.prepared.signers)


def members_at(r: Replica[S], view: int) -> int:
    """How many members (me too) are known to have asked for `view` or a later one."""
    return r.committee.count(key for key, change in r.changes.items() if change.change.terms.view >= view)


def join(r: Replica[S]) -> bool:
    """Follow f + 1 members who want a later view: one of them is honest. Whether that happened."""
    if not r.is_member or r.stage is Stage.HALTED:
        return False
    later = sorted(
        change.change.terms.view
        for key, change in r.changes.items()
        if key != r.me and change.change.terms.view > r.view
    )
    if len(later) <= r.committee.f:
        return False
    ask(r, later[-(r.committee.f + 1)])
    return True


# --- the new view


def choose(changes: Iterable[OpenChange]) -> tuple[int, bytes] | None:
    """(view, hash) of the highest prepared block that these name; None when they name none."""
    named = [
        (change.terms.prepared_view, change.terms.prepared) for change in changes if change.terms.prepared_view >= 0
    ]
    return max(named, default=None)


def lead(r: Replica[S], now: Now) -> bool:
    """As the primary of the view asked for, with q VIEW-CHANGEs of this height: begin it. Whether that happened."""
    if r.stage is not Stage.CHANGING or not r.is_primary:
        return False
    usable = [
        opened
        for opened in r.changes.values()
        if (opened.change.terms.height, opened.change.terms.view) == (r.height, r.view)
        and is_proven(opened, r.committee)
    ]
    if not r.committee.has_quorum(opened.change.change.signer for opened in usable):
        return False
    usable = usable[: r.committee.q]
    chosen = choose(opened.change for opened in usable)
    changes = tuple(opened.change.change for opened in usable)
    proof = next((o for o in usable if (o.change.terms.prepared_view, o.change.terms.prepared) == chosen), None)
    block, vote = None, None
    message = NewView(changes=changes)
    if proof is not None and proof.prepared is not None and proof.block is not None:
        block = proof.block
        vote = sign_vote(r, "prepare", r.view, block.hash)
        message = NewView(changes=changes, prepared=proof.prepared.certificate, block=block.block, vote=vote.vote)
    if enter(r, now, r.view, message, block, vote):
        r.emit(Broadcast(message))
    return True


def take_new_view(r: Replica[S], now: Now, sender: bytes, opened: OpenNewView) -> None:
    """Enter a view that q VIEW-CHANGEs justify, and vote for what they bind it to."""
    terms = opened.changes[0].terms
    if terms.chain != r.chain:
        raise RemoteProtocolError("wrong_chain", "a new view on another chain")
    if terms.height != r.height:
        put_early(r, now, sender, sender, opened, terms.height)
        return
    if not r.is_member or terms.view < r.view or (terms.view == r.view and r.is_active):
        return
    check_new_view(opened, r.committee)
    enter(r, now, terms.view, opened.message, opened.block, opened.vote)
    if r.accepted_hash is not None:
        r.emit(Broadcast(sign_vote(r, "prepare", r.view, r.accepted_hash).vote))


def check_new_view(opened: OpenNewView, committee: Committee) -> None:
    """RemoteProtocolError unless q VIEW-CHANGEs of one view and height bind the view to what it proposes."""
    terms, changes = opened.changes[0].terms, opened.changes
    if any((c.terms.chain, c.terms.height, c.terms.view) != (terms.chain, terms.height, terms.view) for c in changes):
        raise RemoteProtocolError("bad_new_view", "view changes of different views or heights")
    if not committee.has_quorum(change.change.signer for change in changes):
        raise RemoteProtocolError("bad_new_view", f"fewer than {committee.q} members asked for view {terms.view}")
    chosen = choose(changes)
    if chosen is None:
        if opened.block is not None:
            raise RemoteProtocolError("bad_new_view", "a block that nobody prepared is not part of a new view")
        return
    if opened.prepared is None or (opened.prepared.ballot.view, opened.prepared.ballot.block) != chosen:
        raise RemoteProtocolError("bad_new_view", "not the block that was prepared in the highest view")
    if (opened.prepared.ballot.chain, opened.prepared.ballot.height) != (terms.chain, terms.height):
        raise RemoteProtocolError("bad_new_view", "a block that was prepared at another height")
    if not committee.has_quorum(opened.prepared.signers):
        raise RemoteProtocolError("bad_new_view", f"the block has fewer than {committee.q} members' PREPAREs")
    vote = opened.vote
    if vote is None or vote.ballot.view != terms.view or vote.vote.signer != committee.primary(terms.view):
        raise RemoteProtocolError("bad_new_view", f"the block is not proposed by the primary of view {terms.view}")


def enter(r: Replica[S], now: Now, view: int, message: NewView, block: OpenBlock | None, vote: OpenVote | None) -> bool:
    """Begin a justified view; if it is bound to a block, execute and accept that. The clock has no say in it.

    False when the block cannot be executed here: then this replica has halted.
    """
    r.view = view
    r.emit(Persist(EnteredView(height=r.height, view=view, bound_to=block.hash if block else NO_HASH)))
    r.go(Event.NEW_VIEW)
    r.accepted = r.accepted_hash = r.bound_to = None
    r.new_view, r.timer_s, r.replay_due = message, None, True
    r.pool.wait_afresh(now.s)
    if block is None or vote is None:
        return True
    r.bound_to = block.hash
    try:
        candidate = r.candidates.get(block.hash) or blocks.execute(r, block)
    except InvalidBlock as error:
        halt(r, f"block {r.height} has q PREPAREs and cannot be executed here: {error.text}")
        return False
    r.votes.add(vote)
    if r.voted.get(("prepare", view), block.hash) == block.hash:
        accept(r, candidate, Proposal(block=block.block, vote=vote.vote), sign_vote(r, "prepare", view, block.hash))
    return True
