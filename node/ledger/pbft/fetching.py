"""Fetching a state in place of blocks that nobody keeps any more, piece by piece, from whoever has it.

The header of the state is certified by a committee that the known one leads to; the outline proves itself against the
header's state root, and every piece against the outline. So a peer that lies is found out with its first message, and
one that is silent costs the time of one request: the next one is asked for what is still missing. Pieces are named by
their content: those of an older snapshot that are in the newer one too are not fetched again.
"""

from node.ledger.pbft.blocks import keep_admissible
from node.ledger.pbft.certified import follow_committees, open_header, uncertified
from node.ledger.pbft.effects import Install, KeepPiece, Send, SendPieces, SendSnapshot
from node.ledger.pbft.normal import arrive
from node.ledger.pbft.peers import MAX_PEERS_KNOWN, may_help
from node.ledger.pbft.quorum import Committee
from node.ledger.pbft.state import Fetch, Head, Now, Replica, S
from protocol.consensus import (
    MAX_PIECES,
    CommitteeLink,
    Header,
    PieceRequest,
    Pieces,
    Snapshot,
    SnapshotRequest,
    block_hash,
    members_hash,
)
from protocol.errors import RemoteProtocolError

# --- for others


def take_snapshot_request(r: Replica[S], now: Now, sender: bytes, request: SnapshotRequest) -> None:
    """A peer wants a state: not twice in a short time."""
    if r.head.height > request.after and may_help(r, now, sender, (request.after, -2)):
        r.emit(SendSnapshot(sender, request.after))


def take_piece_request(r: Replica[S], now: Now, sender: bytes, request: PieceRequest) -> None:
    """A peer wants pieces: not the same ones twice in a short time."""
    if may_help(r, now, sender, (int.from_bytes(request.names[0][:6], "big"), -3)):
        r.emit(SendPieces(sender, request.names, request.after))


# --- for this replica


def begin(r: Replica[S], now: Now, peer: bytes) -> None:
    """`peer` keeps no blocks as old as those needed here: it may have a state instead."""
    fetch = r.fetch
    if fetch is None:
        fetch = r.fetch = Fetch()
    if peer not in fetch.sources and len(fetch.sources) < MAX_PEERS_KNOWN:
        fetch.sources[peer] = None
    if fetch.peer is None:
        ask_next(r, now)


def ask_next(r: Replica[S], now: Now) -> None:
    """Ask one who may have what is missing; whoever was asked before is not asked until it offers itself again."""
    fetch = r.fetch
    if fetch is None:
        return
    if fetch.peer is not None:
        fetch.sources.pop(fetch.peer, None)
    fetch.peer = next(iter(fetch.sources), None)
    fetch.until_s = None
    _request(r, now)


def _request(r: Replica[S], now: Now) -> None:
    fetch = r.fetch
    if fetch is None or fetch.peer is None:
        return
    fetch.until_s = now.s + r.config.sync_timeout_ms / 1000
    if fetch.snapshot is None:
        r.emit(Send(fetch.peer, SnapshotRequest(after=r.head.height)))
    else:
        r.emit(Send(fetch.peer, PieceRequest(names=tuple(missing(r)[:MAX_PIECES]), after=r.head.height)))


def missing(r: Replica[S]) -> list[bytes]:
    """The pieces that are yet to come, in order."""
    names = r.fetch.names if r.fetch is not None else ()
    return [name for name in dict.fromkeys(names) if name not in r.pieces]


def take_snapshot(r: Replica[S], now: Now, sender: bytes, snapshot: Snapshot) -> None:
    """What the one who was asked serves; RemoteProtocolError, and no change but of whom to ask, when it is not so."""
    fetch = r.fetch
    if fetch is None or sender != fetch.peer or snapshot.after != r.head.height:
        return  # an answer to what was asked at another height, perhaps before a crash, is nobody's fault
    try:
        header, _, _ = proven(r, snapshot)
        names = r.machine.names(snapshot.outline, header.state_root)
    except RemoteProtocolError:
        ask_next(r, now)
        raise
    if header.height <= r.head.height or header.height <= fetch.height:
        ask_next(r, now)  # it has not what is missing, and nothing newer
        return
    fetch.snapshot, fetch.names, fetch.height = snapshot, names, header.height
    r.pieces = {name: piece for name, piece in r.pieces.items() if name in set(names)}
    _go_on(r, now)


def take_pieces(r: Replica[S], now: Now, sender: bytes, message: Pieces) -> None:
    """File pieces that are missing; RemoteProtocolError for what is no piece. Without progress, time runs on."""
    fetch = r.fetch
    if fetch is None or sender != fetch.peer or fetch.snapshot is None:
        return
    wanted, found = set(fetch.names), False
    for piece in message.pieces:
        try:
            name = r.machine.piece_name(piece)
        except RemoteProtocolError:
            ask_next(r, now)
            raise
        # One that is not wanted may be a late answer to an older request.
        if name in wanted and name not in r.pieces:
            r.pieces[name], found = piece, True
            r.emit(KeepPiece(piece))
    if found:
        _go_on(r, now)


def _go_on(r: Replica[S], now: Now) -> None:
    fetch = r.fetch
    assert fetch is not None
    assert fetch.snapshot is not None
    if not missing(r):
        state = r.machine.joined([r.pieces[name] for name in fetch.names])
        adopt(r, now, fetch.snapshot, state)
    else:
        _request(r, now)


def adopt(r: Replica[S], now: Now, snapshot: Snapshot, state: S) -> None:
    """Go on from a state in place of blocks; RemoteProtocolError, and no change, when it is not the certified one."""
    header, head, committee = proven(r, snapshot)
    members = r.machine.members(state)
    if (r.machine.root(state), members_hash(members)) != (header.state_root, header.members_hash):
        raise RemoteProtocolError("bad_snapshot", f"a snapshot of {header.height} that is not the state of its header")
    links = snapshot.links
    if members != committee.members:  # its own block changed the committee: who follows from before it needs that too
        links += (CommitteeLink(header=snapshot.header, certificate=snapshot.certificate, members=members),)
    r.emit(Install(snapshot.header, snapshot.certificate, links, state))
    arrive(r, now, head, state)
    for pending in r.pool:  # what the blocks that are passed over contain
        keep_admissible(r, pending, now.unix_ms)


def proven(r: Replica[S], snapshot: Snapshot) -> tuple[Header, Head, Committee]:
    """A snapshot's header, the head that it would be, and who certified it; RemoteProtocolError unless they did."""
    committee = follow_committees(r.chain, r.head.height, r.committee, snapshot.links)
    header, certificate = open_header(r.chain, snapshot.header, snapshot.certificate)
    if why := uncertified(certificate, committee):
        raise RemoteProtocolError("forged_block", why)
    hash_, view = block_hash(snapshot.header), certificate.ballot.view
    return header, Head(header.height, hash_, header.time_unix_ms, snapshot.certificate, view), committee
