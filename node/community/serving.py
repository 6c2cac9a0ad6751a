"""States that this node gives to those who fell behind further than blocks are kept (node/store/ledger_points.py)."""

from node.env import Env
from node.ledger.chain.pieces import StateCut
from node.ledger.chain.state import State
from node.ledger.pbft.effects import Commit, Install
from node.store.ledger_points import MAX_POINTS, Point
from node.store.ledger_store import LedgerStore
from protocol.consensus import MAX_LINKS, PAGE_BYTES, Pieces, Snapshot


class Serving:
    """The last few points, and each one's pieces once somebody has asked for them."""

    def __init__(self, store: LedgerStore, env: Env, points: tuple[Point, ...], keep_blocks: int) -> None:
        """`points` are those that are stored; the next one is after the next height that `keep_blocks` divides."""
        self._store = store
        self._env = env
        self._keep_blocks = keep_blocks
        self._points = points
        self._cuts: dict[int, StateCut] = {}

    def committed(self, commit: Commit[State]) -> None:
        """A block is stored."""
        if self._keep_blocks and commit.block.header.height % self._keep_blocks == 0:
            point = Point(commit.block.block.header, commit.certificate.certificate, commit.state)
            self._points = (*self._points, point)[-MAX_POINTS:]
            self._forget()

    def installed(self, install: Install[State]) -> None:
        """A state is stored in place of all blocks."""
        self._points = (Point(install.header, install.certificate, install.state),)
        self._forget()

    async def snapshot(self, after: int) -> Snapshot | None:
        """What describes the newest state, to one who is at `after`; None where there is none, or too far ahead."""
        if not self._points:
            return None
        point = self._points[-1]
        links = await self._store.links(point.height, after)
        if len(links) > MAX_LINKS:
            return None
        cut = await self._cut(point)
        return Snapshot(
            after=after, header=point.header, certificate=point.certificate, links=links, outline=cut.outline
        )

    async def pieces(self, names: tuple[bytes, ...], after: int) -> Pieces | Snapshot | None:
        """Those of these pieces that any of the states has, as many as fit; else as `snapshot`."""
        found, size = list[bytes](), 0
        for name in names:
            for point in self._points:
                cut = await self._cut(point)
                if (piece := await self._env.offload(cut.piece, name)) is not None:
                    found.append(piece)
                    size += len(piece)
                    break
            if size > PAGE_BYTES:
                break
        return Pieces(pieces=tuple(found)) if found else await self.snapshot(after)

    async def _cut(self, point: Point) -> StateCut:
        height = point.height
        if height not in self._cuts:
            self._cuts[height] = await self._env.offload(StateCut, point.state)
        return self._cuts[height]

    def _forget(self) -> None:
        served = {point.height for point in self._points}
        self._cuts = {height: cut for height, cut in self._cuts.items() if height in served}
