"""After a crash: the memory as the log of votes tells it."""

from collections.abc import Sequence
from contextlib import suppress
from typing import assert_never

from node.ledger.machine import InvalidBlock
from node.ledger.pbft import blocks
from node.ledger.pbft.normal import halt, sign_vote
from node.ledger.pbft.opened import open_block, open_certificate, open_vote
from node.ledger.pbft.records import Accepted, AnyRecord, AskedView, EnteredView, Prepared, RecordError
from node.ledger.pbft.state import Event, Replica, S, Stage
from protocol.consensus import NO_HASH
from protocol.errors import RemoteProtocolError


def restore(r: Replica[S], records: Sequence[AnyRecord]) -> None:
    """Go through what was written since the head was committed, in order; RecordError when it contradicts itself.

    A log with gaps is no log: who forgot votes begins with none.
    """
    if r.forgot:
        return
    for record in records:
        if r.stage is Stage.HALTED:
            return
        try:
            _redo(r, record)
        except RemoteProtocolError as error:
            raise RecordError(f"the log of votes is damaged at height {record.height}: {error}") from error


def restore_pieces(r: Replica[S], pieces: Sequence[bytes]) -> None:
    """Take up the pieces of a state that were fetched; a damaged one is fetched again."""
    for piece in pieces:
        with suppress(RemoteProtocolError):
            r.pieces[r.machine.piece_name(piece)] = piece


def _redo(r: Replica[S], record: AnyRecord) -> None:
    match record:
        case AskedView() | EnteredView():
            _redo_view(r, record)
        case Accepted() if record.height == r.height:
            _redo_accepted(r, record)
        case Prepared() if record.height == r.height:
            _redo_prepared(r, record)
        case Accepted() | Prepared():
            pass  # of a height that is decided
        case _:
            assert_never(record)


def _redo_view(r: Replica[S], record: AskedView | EnteredView) -> None:
    """A view of an earlier height counts unless the head was committed in it or a later one, as in arrive()."""
    if not r.is_member or record.view < r.view or (record.height != r.height and record.view <= r.head.view):
        return
    r.view = record.view
    r.accepted = r.accepted_hash = r.bound_to = None
    r.stage = Stage.CHANGING if isinstance(record, AskedView) else Stage.IDLE
    if isinstance(record, EnteredView) and record.height == r.height and record.bound_to != NO_HASH:
        r.bound_to = record.bound_to


def _redo_accepted(r: Replica[S], record: Accepted) -> None:
    block, view = open_block(record.proposal.block), open_vote(record.proposal.vote).ballot.view
    try:
        r.candidates[block.hash] = blocks.execute(r, block)
    except InvalidBlock as error:
        halt(r, f"block {r.height} was executed here before, and now cannot be: {error.text}")
        return
    r.votes.add(sign_vote(r, "prepare", view, block.hash))
    if view == r.view and r.stage is Stage.IDLE:
        r.accepted, r.accepted_hash = record.proposal, block.hash
        r.go(Event.ACCEPTED)


def _redo_prepared(r: Replica[S], record: Prepared) -> None:
    certificate = open_certificate(record.certificate, "prepare")
    ballot = certificate.ballot
    if ballot.block not in r.candidates:
        raise RecordError(f"the log of votes has q PREPAREs at height {record.height} for a block that it lacks")
    r.prepared = certificate
    r.votes.add(sign_vote(r, "commit", ballot.view, ballot.block))
    if ballot.view == r.view and r.stage is Stage.PREPARING:
        r.go(Event.PREPARED)
