"""What a simulated replica has written down: blocks, the log of votes, states to serve; and what a loss of power takes.

A vote is durable at once, and so is a block that changes the committee. Any other is durable with the next vote: until
then a loss of power takes it, and all that was written after it.
"""

from copy import copy
from dataclasses import dataclass, field

from coalesced.sim.ledger.machine import KeyValues, Values
from node.ledger.pbft.effects import Commit, Install
from node.ledger.pbft.normal import head_of
from node.ledger.pbft.records import (
    Accepted,
    AnyRecord,
    AskedView,
    EnteredView,
    Prepared,
    decode_record,
    encode_record,
    still_needed,
)
from node.ledger.pbft.state import Head
from protocol.consensus import (
    Blocks,
    Certificate,
    Committed,
    CommitteeLink,
    Pieces,
    Snapshot,
    block_hash,
    decode_ballot,
    decode_header,
)

PAGE_BLOCKS = 5
"""Small, so that catching up takes several pages."""
PAGE_PIECES = 3
SERVED_EVERY = 4
SERVED = 2
"""The states after the last two heights that SERVED_EVERY divides are served; who prunes keeps no older block."""


@dataclass(frozen=True, slots=True)
class Point:
    """A certified state."""

    header: bytes
    certificate: Certificate
    state: Values

    @property
    def height(self) -> int:
        """Of its block."""
        return decode_header(self.header).height


@dataclass(slots=True)
class Disk:
    """One replica's."""

    prunes: bool = False
    forgot: bool = False
    """An earlier disk of this key is gone, and with it perhaps votes."""
    blocks: list[Commit[Values]] = field(default_factory=list)
    pruned: int = 0
    """The height below the first block."""
    installed: Point | None = None
    """What the first block follows, unless that is the genesis."""
    links: list[CommitteeLink] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    log: list[bytes] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    said: set[tuple[str, int, int, bytes]] = field(default_factory=set)
    """What may be sent, since it is durable: (phase, height, view, block) of votes, ("view", height, view, b"")."""
    _durable: "Disk | None" = None
    """What a loss of power leaves, when that is not everything."""

    @property
    def height(self) -> int:
        """Of the last block."""
        return self.pruned + len(self.blocks)

    @property
    def last(self) -> tuple[Head, Values] | None:
        """The last block as the one to build on, and the state after it; None before the first."""
        if self.blocks:
            block = self.blocks[-1]
            return head_of(block.block, block.certificate), block.state
        if (point := self.installed) is None:
            return None
        header, ballot = decode_header(point.header), decode_ballot(point.certificate.ballot)
        hash_ = block_hash(point.header)
        return Head(header.height, hash_, header.time_unix_ms, point.certificate, ballot.view), point.state

    # --- writing

    def write(self, record: AnyRecord) -> None:
        """Append to the log, durably."""
        self._durable = None
        self.log.append(encode_record(record))
        match record:
            case AskedView(height=height, view=view):
                self.said.add(("view", height, view, b""))
            case Accepted(height=height, proposal=proposal):
                ballot = decode_ballot(proposal.vote.ballot)
                self.said.add(("prepare", height, ballot.view, ballot.block))
            case Prepared(height=height, certificate=certificate):
                ballot = decode_ballot(certificate.ballot)
                self.said.add(("commit", height, ballot.view, ballot.block))
            case EnteredView():
                pass

    def store(self, commit: Commit[Values], members_before: tuple[bytes, ...]) -> None:
        """Store a block; not durable yet, unless it changes the committee."""
        self._keep_durable()
        self.blocks.append(commit)
        header, certificate, state = commit.block.block.header, commit.certificate.certificate, commit.state
        if state.members != members_before:
            self.links.append(CommitteeLink(header=header, certificate=certificate, members=state.members))
        if self.height % SERVED_EVERY == 0:
            self.points = [*self.points, Point(header, certificate, state)][-SERVED:]
            if self.prunes and len(self.points) == SERVED:
                gone = self.points[0].height - self.pruned
                self.blocks, self.pruned, self.installed = self.blocks[gone:], self.points[0].height, self.points[0]
        self._shorten_log()
        if state.members != members_before:
            self._durable = None

    def install(self, install: Install[Values]) -> None:
        """Store a state in place of all blocks; not durable yet."""
        self._keep_durable()
        point = Point(install.header, install.certificate, install.state)
        self.blocks, self.pruned, self.installed, self.points = [], point.height, point, [point]
        self.links += install.links
        self.pieces = []
        self._shorten_log()

    def recovered(self) -> None:
        """The doubt is over; not durable yet."""
        self.forgot = False

    def lose_power(self) -> bool:
        """Whether something was not durable, and now is gone."""
        durable, self._durable = self._durable, None
        if durable is None:
            return False
        for name in ("forgot", "blocks", "pruned", "installed", "links", "points", "log", "pieces"):
            setattr(self, name, getattr(durable, name))
        return True

    def _keep_durable(self) -> None:
        if self._durable is None:
            saved = copy(self)
            saved.blocks, saved.links, saved.log = list(self.blocks), list(self.links), list(self.log)
            self._durable = saved

    def _shorten_log(self) -> None:
        records = still_needed([decode_record(record) for record in self.log], self.height)
        self.log = [encode_record(record) for record in records]

    # --- what others ask for

    def page(self, height: int) -> Blocks:
        """Stored blocks from `height` on; none when the first is later."""
        at = height - 1 - self.pruned
        chosen = self.blocks[at : at + PAGE_BLOCKS] if at >= 0 else []
        return Blocks(
            first_height=self.pruned + 1,
            head_height=self.height,
            blocks=tuple(Committed(block=c.block.block, certificate=c.certificate.certificate) for c in chosen),
        )

    def snapshot(self, after: int) -> Snapshot | None:
        """What describes the newest state that is served."""
        if not self.points:
            return None
        point = self.points[-1]
        links = [link for link in self.links if after < decode_header(link.header).height < point.height]
        return Snapshot(
            after=after,
            header=point.header,
            certificate=point.certificate,
            links=tuple(links),
            outline=KeyValues().cut(point.state).outline,
        )

    def served(self, names: tuple[bytes, ...], after: int) -> Pieces | Snapshot | None:
        """Those of these pieces that are served; who has none says what there is."""
        cuts = [KeyValues().cut(point.state) for point in self.points]
        found = [piece for name in names for cut in cuts if (piece := cut.piece(name)) is not None]
        return Pieces(pieces=tuple(found[:PAGE_PIECES])) if found else self.snapshot(after)
