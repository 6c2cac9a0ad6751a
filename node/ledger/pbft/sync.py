"""Catching up: blocks with certificates, page by page, or a snapshot that the chain of committees vouches for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from node.ledger.pbft.effects import NeedSnapshot, SendBlocks
from node.ledger.pbft.normal import arrive, commit_certified
from node.ledger.pbft.opened import OpenBlocks, OpenCertificate, OpenCommitted, open_certificate
from node.ledger.pbft.peers import ask_another, help_behind, note_ahead, request_blocks
from node.ledger.pbft.quorum import Committee
from node.ledger.pbft.state import Head, Now, Replica, S, Stage
from protocol.consensus import (
    Certificate,
    CommitteeLink,
    Header,
    Status,
    SyncRequest,
    block_hash,
    decode_header,
    members_hash,
)
from protocol.errors import RemoteProtocolError


def take_status(r: Replica[S], now: Now, sender: bytes, status: Status) -> None:
    """A peer says how far it is."""
    if status.height > r.head.height:
        note_ahead(r, now, sender, status.height)
    elif status.height < r.head.height or status.view < r.view:
        help_behind(r, now, sender, status.height, status.view)


def take_request(r: Replica[S], now: Now, sender: bytes, request: SyncRequest) -> None:
    """A peer asks for blocks: not twice for the same ones in a short time."""
    at, given_s = r.helped.get(sender, ((-1, -1), 0.0))
    asked = (request.height, -1)
    if request.height <= r.head.height and (at != asked or now.s - given_s >= r.config.resend_ms / 1000):
        r.helped[sender] = (asked, now.s)
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
            request_blocks(r, now, sender)
        else:
            r.asking.peer = None
    elif sender == r.asking.peer and opened.message.first_height > r.height:
        r.emit(NeedSnapshot(sender, opened.message.first_height - 1))


def refused(r: Replica[S], committed: OpenCommitted) -> str | None:
    """Why a block with a certificate is not the next one; None when it is."""
    header = committed.block.header
    if (header.chain, header.height, header.previous) != (r.chain, r.height, r.head.hash):
        return f"block {header.height} does not follow the head at {r.head.height}"
    return uncertified(committed.certificate, r.committee)


def uncertified(certificate: OpenCertificate, committee: Committee) -> str | None:
    """Why a certificate is not enough for `committee`; None when it is."""
    if certificate.phase != "commit" or not committee.has_quorum(certificate.signers):
        have = committee.count(certificate.signers)
        return f"the block at {certificate.ballot.height} has {have} members' COMMITs of {committee.q}"
    return None


# --- snapshots


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[S]):
    """A state, the header and COMMITs of the block that led to it, and how the committee came to be its committee."""

    header: bytes
    certificate: Certificate
    links: tuple[CommitteeLink, ...]
    state: S


def adopt(r: Replica[S], now: Now, snapshot: Snapshot[S]) -> None:
    """Go on from a snapshot instead of blocks; RemoteProtocolError, and no change, when it does not prove itself."""
    if r.stage is Stage.HALTED:
        return
    committee = follow_committees(r.chain, r.head.height, r.committee, snapshot.links)
    header, certificate = open_header(r.chain, snapshot.header, snapshot.certificate)
    if why := uncertified(certificate, committee):
        raise RemoteProtocolError("forged_block", why)
    if header.height <= r.head.height:
        raise RemoteProtocolError("bad_snapshot", f"a snapshot of {header.height}, and the head is {r.head.height}")
    members = r.machine.members(snapshot.state)
    if (r.machine.root(snapshot.state), members_hash(members)) != (header.state_root, header.members_hash):
        raise RemoteProtocolError("bad_snapshot", f"a snapshot of {header.height} that is not the state of its header")
    head = Head(
        header.height,
        block_hash(snapshot.header),
        header.time_unix_ms,
        snapshot.certificate,
        certificate.ballot.view,
    )
    arrive(r, now, head, snapshot.state)


def follow_committees(chain: bytes, height: int, committee: Committee, links: Sequence[CommitteeLink]) -> Committee:
    """The committee that `links` lead to from the one that decides the height after `height`.

    Each link is certified by the committee before it; RemoteProtocolError when one is not.
    """
    for link in links:
        header, certificate = open_header(chain, link.header, link.certificate)
        if header.height <= height:
            raise RemoteProtocolError("bad_snapshot", "changes of the committee that are not in order")
        if why := uncertified(certificate, committee):
            raise RemoteProtocolError("forged_block", why)
        if members_hash(link.members) != header.members_hash:
            raise RemoteProtocolError("bad_snapshot", f"not the committee that the header of {header.height} names")
        height, committee = header.height, Committee(link.members)
    return committee


def open_header(chain: bytes, header: bytes, certificate: Certificate) -> tuple[Header, OpenCertificate]:
    """A header and the COMMITs for it, signatures checked; members and their number are the caller's."""
    decoded, opened = decode_header(header), open_certificate(certificate, "commit")
    ballot = opened.ballot
    if (decoded.chain, ballot.chain, ballot.height, ballot.block) != (chain, chain, decoded.height, block_hash(header)):
        raise RemoteProtocolError("forged_block", f"COMMITs for another block than that at {decoded.height}")
    return decoded, opened
