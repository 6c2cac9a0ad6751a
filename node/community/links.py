"""What goes out: one bounded queue a peer, emptied over whatever session there is to it; and who is meant by whom.

Messages are sent in batches. The first one over a session is a request, whose answer says whether the peer follows the
chain; the others are notices, that nobody answers and that go at once while the peer takes them. What cannot be
delivered is dropped: the core says again what still counts.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from crypto.hashing import tagged_hash
from crypto.identity import short_id
from node.community.config import LedgerConfig
from node.community.directory import Directory
from node.errors import NodeError
from node.net.errors import RemoteRefused
from node.net.peers import Peers
from node.net.session import Session
from protocol.messages import MAX_LEDGER_BATCH, LedgerBatch

MAX_BATCH_BYTES: Final = 2**20
MAX_QUEUED_BYTES: Final = 2**23
"""That wait for one peer: eight pages of blocks or pieces."""
MAX_ANSWERS_BYTES: Final = 2**25
"""That wait for all peers together, before no more pages are read for anybody: who asks and does not read fills no
memory, under however many keys."""
DELIVERY_TIMEOUT_S: Final = 10.0
FIRST_PAUSE_S: Final = 0.2
MAX_PAUSE_S: Final = 4.0
"""Between two attempts to reach a member that is down: it may be back at any time, and blocks wait for it."""
REMEMBERED_S: Final = 15.0
"""That a peer could not be reached: three times what passes between two messages to every member."""
REFUSED_PAUSE_S: Final = 30.0
"""After a peer said that it follows another chain; one that follows none may just have started."""
MAX_FOLLOWERS: Final = 256
"""Peers that are no members and are told of new blocks; the one that was silent for longest is forgotten."""
MAX_LINKS: Final = 512

log = structlog.get_logger()


class Link:
    """The way to one peer."""

    def __init__(self, peer: bytes, chain: bytes, peers: Peers, directory: Directory, max_messages: int) -> None:
        self._peer = peer
        self._chain = chain
        self._peers = peers
        self._directory = directory
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._max_messages = max_messages
        self._filled = asyncio.Event()
        self._accepted: Session | None = None
        """The session over which the peer said that it follows this chain."""
        self._failed_s = float("-inf")
        self._delivering = 0
        """Bytes that were taken from the queue and are not said yet: nothing may overtake them."""

    @property
    def is_failing(self) -> bool:
        """Whether the peer could not be reached lately, and has not come by itself since."""
        is_recent = asyncio.get_running_loop().time() < self._failed_s + REMEMBERED_S
        return is_recent and self._peers.open_session(self._peer) is None

    @property
    def waiting_bytes(self) -> int:
        """What the peer has not been told yet."""
        return self._bytes + self._delivering

    def put(self, messages: Sequence[bytes]) -> None:
        """Send messages at once where nothing is in the way, or queue them; without room, the oldest are dropped."""
        if not self._queue and self._tell(messages):
            return
        self._queue.extend(messages)
        self._bytes += sum(map(len, messages))
        while len(self._queue) > self._max_messages or (self._bytes > MAX_QUEUED_BYTES and len(self._queue) > 1):
            self._bytes -= len(self._queue.popleft())
        self._filled.set()

    def _tell(self, messages: Sequence[bytes]) -> bool:
        """Say it over the session that the peer has accepted, without a turn of the event loop: votes wait for it."""
        session = self._accepted
        if session is None or session is not self._peers.open_session(self._peer) or self._delivering:
            return False
        if len(messages) > MAX_LEDGER_BATCH or sum(map(len, messages)) > MAX_BATCH_BYTES:
            return False
        return session.tell(LedgerBatch(chain=self._chain, messages=tuple(messages)))

    async def run(self) -> None:
        """Send what is queued, for ever."""
        pause_s = FIRST_PAUSE_S
        while True:
            await self._filled.wait()
            session = await self._session()
            if session is None:
                self._failed_s = asyncio.get_running_loop().time()
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, MAX_PAUSE_S)
                self._drop()
                continue
            self._failed_s, pause_s = float("-inf"), FIRST_PAUSE_S
            if batch := self._take():
                self._delivering = sum(map(len, batch))
                await self._deliver(session, batch)
                self._delivering = 0

    async def _session(self) -> Session | None:
        if (session := self._peers.open_session(self._peer)) is not None:
            return session
        try:
            where = await self._directory.endpoint(self._peer)
            return None if where is None else await self._peers.session(self._peer, where)
        except NodeError as error:
            log.debug("ledger.peer_unreachable", peer=short_id(self._peer), error=str(error))
            return None

    def _drop(self) -> None:
        self._queue.clear()
        self._bytes = 0
        self._filled.clear()

    def _take(self) -> tuple[bytes, ...]:
        batch: list[bytes] = []
        size = 0
        while self._queue and len(batch) < MAX_LEDGER_BATCH:
            size += len(self._queue[0])
            if batch and size > MAX_BATCH_BYTES:
                break
            batch.append(self._queue.popleft())
            self._bytes -= len(batch[-1])
        if not self._queue:
            self._filled.clear()
        return tuple(batch)

    async def _deliver(self, session: Session, batch: tuple[bytes, ...]) -> None:
        body = LedgerBatch(chain=self._chain, messages=batch)
        try:
            if session is self._accepted:
                await session.inform(body, timeout_s=DELIVERY_TIMEOUT_S)
            else:
                await session.request(body, timeout_s=DELIVERY_TIMEOUT_S)
                self._accepted = session
        except RemoteRefused as error:
            log.info("ledger.peer_refused", peer=short_id(self._peer), error=error.text)
            self._drop()
            await asyncio.sleep(MAX_PAUSE_S if error.code == "no_chain" else REFUSED_PAUSE_S)
        except (NodeError, TimeoutError) as error:
            log.debug("ledger.not_delivered", peer=short_id(self._peer), messages=len(batch), error=str(error))


class Links:
    """All of them, and the audiences that a core names."""

    def __init__(
        self,
        own_key: bytes,
        chain: bytes,
        peers: Peers,
        directory: Directory,
        config: LedgerConfig,
        spawn: Callable[[Link], "asyncio.Task[None]"],
    ) -> None:
        """`spawn` runs a link until this chain is left."""
        self._own_key = own_key
        self._chain = chain
        self._peers = peers
        self._directory = directory
        self._config = config
        self._spawn = spawn
        self._links: dict[bytes, tuple[Link, asyncio.Task[None]]] = {}
        self._followers: dict[bytes, None] = {}
        self._committee: tuple[bytes, ...] = ()
        """As it was last told."""

    def heard(self, peer: bytes) -> None:
        """A peer has spoken on this chain, or is believed to follow it."""
        self._followers.pop(peer, None)
        self._followers[peer] = None
        if len(self._followers) > MAX_FOLLOWERS:
            del self._followers[next(iter(self._followers))]

    def send(self, peer: bytes, *messages: bytes) -> None:
        """Send packed messages to one peer, in order, now or as soon as there is a session."""
        if peer == self._own_key:
            return
        if peer not in self._links:
            if len(self._links) >= MAX_LINKS:
                strangers = (key for key in self._links if key not in self._committee)
                _, task = self._links.pop(next(strangers, next(iter(self._links))))
                task.cancel()
            link = Link(peer, self._chain, self._peers, self._directory, self._config.queue_messages)
            self._links[peer] = link, self._spawn(link)
        self._links[peer][0].put(messages)

    def may_answer(self, peer: bytes) -> bool:
        """Whether to give a peer blocks or a state: not much waits for it yet, and not too much for all together."""
        in_all = sum(link.waiting_bytes for link, _ in self._links.values())
        here = self._links[peer][0].waiting_bytes if peer in self._links else 0
        return here < 2 * MAX_BATCH_BYTES and in_all < MAX_ANSWERS_BYTES

    def members(self, committee: tuple[bytes, ...]) -> list[bytes]:
        """Whom "the members" are for this node: all the others, or for a node that is none of them a few."""
        self._committee = committee
        others = [key for key in committee if key != self._own_key]
        if self._own_key in committee:
            return others
        # Each follower prefers others, so that the load is shared; whoever does not answer goes last.
        others.sort(key=lambda key: (self._is_failing(key), tagged_hash(b"ledger-follow", self._own_key, key)))
        return others[: self._config.follow]

    def observers(self, committee: tuple[bytes, ...]) -> list[bytes]:
        """The connected peers that follow this chain and are no members."""
        return [key for key in self._followers if key not in committee and self._peers.open_session(key) is not None]

    def unreachable(self, committee: tuple[bytes, ...]) -> list[bytes]:
        """Members that this node could not reach when it last tried."""
        return [key for key in committee if self._is_failing(key)]

    def _is_failing(self, key: bytes) -> bool:
        return key in self._links and self._links[key][0].is_failing
