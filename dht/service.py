"""Discovery of who offers a skill: publish under a key, find what others published.

`KademliaDiscovery` is one node of the network. It owns its tasks: they run in one group between `start` and `stop`.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol, assert_never

from crypto.identity import Identity
from dht.bootstrap import Joiner
from dht.config import DhtConfig
from dht.contacts import Address, Contact, ContactEvent, ContactJoined, ContactLeft, NodeAddress
from dht.datagram import Ping, Pong
from dht.endpoint import Answer, Endpoint, Hooks
from dht.errors import LocalDhtError
from dht.ids import shard_key
from dht.preference import Preference
from dht.publishing import Publisher
from dht.records import Record
from dht.responder import Responder
from dht.routing import Check, Routing, RoutingEffect
from dht.search import Searcher
from dht.stats import DhtStats
from dht.storage import RecordStore

FAREWELL_S = 0.5
"""Time that `stop` spends on withdrawing what this node had published."""
MAX_OBSERVED = 15
"""Latest answers that count when peers say where they see us."""


class Publishing(Protocol):
    """What those know of discovery who have something to offer."""

    async def publish(self, key: bytes, body: bytes) -> int:
        """Publish under a key and keep it published; gives how many other nodes hold it now."""
        ...  # pragma: no cover

    def holders(self, key: bytes) -> int:
        """How many other nodes hold what is published under this key, as they last said."""
        ...  # pragma: no cover

    async def withdraw(self, key: bytes) -> None:
        """Stop publishing under this key, and say so to the holders."""
        ...  # pragma: no cover


class Discovery(Publishing, Protocol):
    """What the rest of the application knows of discovery."""

    async def find(
        self, key: bytes, *, timeout_s: float, thorough: bool = False, withdrawn: bool = False
    ) -> list[Record]:
        """Verified, living records under the key, best first; an empty list when there are none.

        `thorough` is for a look-up that money depends on: liars around the key cannot cut it short. `withdrawn`: with
        the withdrawals of those who publish nothing under it any more, last.
        """
        ...  # pragma: no cover

    def contacts(self) -> list[Contact]:
        """The nodes known to be there."""
        ...  # pragma: no cover


class KademliaDiscovery:
    """One node of the Kademlia network `network`, under the id of `identity`."""

    def __init__(
        self,
        identity: Identity,
        network: str,
        config: DhtConfig,
        *,
        unix_ms: Callable[[], int],
        rng: random.Random,
        entropy: Callable[[int], bytes],
        on_contact: Callable[[ContactEvent], None] | None = None,
    ) -> None:
        """`on_contact` is called on the event loop whenever a contact joins or leaves; it must not block."""
        own_id = identity.node_id
        self.stats = DhtStats()
        self._own_id = own_id
        self._preference = Preference(identity, network)
        self._config = config
        self._unix_ms = unix_ms
        self._on_contact = on_contact
        self._store = RecordStore(config)
        self._routing = Routing(own_id, config)
        self._responder = Responder(
            self._routing, self._store, config, self.stats.refused_records, unix_ms=unix_ms, entropy=entropy
        )
        hooks = Hooks(self._responder.answer, self._heard, self._answered, self._lost)
        self._endpoint = Endpoint(identity, network, config, self.stats, hooks, unix_ms=unix_ms, entropy=entropy)
        self._searcher = Searcher(own_id, self._endpoint, self._routing, config, self.stats, unix_ms=unix_ms, rng=rng)
        self._publisher = Publisher(
            identity, self._searcher, self._endpoint, self._routing, self._store, config, unix_ms=unix_ms, rng=rng
        )
        self._joiner = Joiner(own_id, self._endpoint, self._routing, self._searcher, config, rng=rng)
        self._bootstrap: dict[Address, None] = {}
        self._checking: set[NodeAddress] = set()
        self._observed: list[Address] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._group: asyncio.TaskGroup | None = None
        self._main: asyncio.Task[None] | None = None
        self._stopping: asyncio.Future[None] | None = None

    async def start(self, addresses: Sequence[Address]) -> list[Address]:
        """Bind and begin; gives the bound addresses (port 0 takes any free one).

        One address per IP version. LocalDhtError when an address cannot be had. A start without bootstrap
        addresses, or with unreachable ones, is a success: a lone node waits for others.
        """
        if self._main is not None:
            raise LocalDhtError("this discovery was started already; make a new one")
        bound = await self._endpoint.open(addresses)
        loop = asyncio.get_running_loop()
        started, self._stopping = loop.create_future(), loop.create_future()
        self._main = loop.create_task(self._run(started, self._stopping), name="dht")
        await asyncio.shield(started)
        return bound

    async def stop(self) -> None:
        """Withdraw what was published, as far as half a second allows, then end all tasks and close the sockets."""
        if self._main is None or self._stopping is None:
            return
        if not self._main.done():
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await self._publisher.withdraw_all()
        if not self._stopping.done():
            self._stopping.set_result(None)
        await self._main

    async def wait(self) -> None:
        """Wait until it has stopped; an ExceptionGroup when one of its tasks failed, which is a bug."""
        if self._main is not None:
            await asyncio.shield(self._main)

    def add_bootstrap(self, addresses: Iterable[Address]) -> None:
        """Join through these hosts (names or IP literals) too, as soon as and whenever they answer."""
        for address in addresses:
            if address not in self._bootstrap:
                self._bootstrap[address] = None
                if self._group is not None:
                    self._spawn(self._joiner.knock(address))

    async def publish(self, key: bytes, body: bytes) -> int:
        """Publish under a key and keep it published; gives how many other nodes hold it now.

        0 while this node is alone: it is published as soon as others are there. LocalDhtError when the body
        exceeds 512 bytes.
        """
        return await self._publisher.publish(key, body)

    def holders(self, key: bytes) -> int:
        """How many other nodes hold what is published under this key, as they last said; 0 when nothing is."""
        return self._publisher.holders(key)

    def published(self) -> list[Record]:
        """The records that this node keeps published, each as last signed."""
        return self._publisher.published()

    async def withdraw(self, key: bytes) -> None:
        """Stop publishing under this key, and say so to the holders."""
        await self._publisher.withdraw(key)

    async def find(
        self, key: bytes, *, timeout_s: float, thorough: bool = False, withdrawn: bool = False
    ) -> list[Record]:
        """Verified, living records under the key, in this node's own order of publishers (dht/preference.py).

        `thorough` asks everyone in the key's region (dht/region.py), which a few liars cannot cut short: for a look-up
        that money depends on.
        Of a popular key, the shard of our own part of the ring is read too. `withdrawn` adds the withdrawals, last.
        """
        ends_s = asyncio.get_running_loop().time() + timeout_s
        best: dict[bytes, Record] = {}
        for at in (key, shard_key(key, self._own_id)):
            left_s = max(0.0, ends_s - asyncio.get_running_loop().time())
            found = await self._searcher.records(at, timeout_s=left_s, thorough=thorough)
            for record in (*self._store.find(at, self._unix_ms()), *found.records):
                if record.public_key not in best or record.seq > best[record.public_key].seq:
                    best[record.public_key] = record
            if found.total < self._config.max_records_per_key:
                break
        ranked = sorted(best.values(), key=lambda record: self._preference.rank(record.public_key))
        living = [record for record in ranked if not record.is_withdrawal][: self._config.max_found]
        return [*living, *(record for record in ranked if withdrawn and record.is_withdrawal)]

    def estimated_nodes(self) -> int:
        """About how many nodes the network has, by how densely they lie."""
        return round(self._searcher.size.nodes())

    async def closest(self, key: bytes) -> list[NodeAddress]:
        """The k nodes closest to the key that answer now, this one left out, closest first."""
        return (await self._searcher.nodes(key)).nodes

    def contacts(self) -> list[Contact]:
        """The nodes that answered us and are believed to be there."""
        return self._routing.contacts()

    def observed_address(self) -> Address | None:
        """The address that most peers lately saw us at; None before any said so. One peer alone may lie."""
        return Counter(self._observed).most_common(1)[0][0] if self._observed else None

    async def _run(self, started: "asyncio.Future[None]", stopping: "asyncio.Future[None]") -> None:
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for work in (self._joiner.run(), self._joiner.refresh(), self._publisher.run()):
                    self._spawn(work)
                for address in self._bootstrap:
                    self._spawn(self._joiner.knock(address))
                started.set_result(None)
                await stopping
                for task in self._tasks:
                    task.cancel()
        finally:
            self._group = None
            self._endpoint.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._group is not None, "tasks are started while the group runs"
        self._tasks.append(self._group.create_task(work))

    def _heard(self, sender: NodeAddress) -> None:
        if not self._endpoint.is_asking(sender):
            self._perform(self._routing.heard(sender, asyncio.get_running_loop().time()))

    def _answered(self, answer: Answer) -> None:
        if isinstance(answer.body, Pong):
            seen_at = (answer.body.observed_host, answer.body.observed_port)
            self._observed = [*self._observed[1 - MAX_OBSERVED :], seen_at]
        now_s = asyncio.get_running_loop().time()
        self._perform(self._routing.answered(answer.node, answer.public_key, answer.rtt_s, now_s))

    def _lost(self, node: NodeAddress) -> None:
        self._perform(self._routing.lost(node))

    def _perform(self, effects: Iterable[RoutingEffect]) -> None:
        for effect in effects:
            match effect:
                case Check(node, max_sends):
                    self._check(node, max_sends)
                case ContactJoined() | ContactLeft():
                    self._joiner.contact_changed(effect)
                    if isinstance(effect, ContactJoined):
                        self._publisher.contact_joined(effect.contact)
                    if self._on_contact is not None:
                        self._on_contact(effect)
                case _ as unreachable:
                    assert_never(unreachable)

    def _check(self, node: NodeAddress, max_sends: int) -> None:
        if node in self._checking:
            return
        if len(self._checking) >= self._config.max_checks:
            self.stats.dropped["crowded"] += 1
            return
        self._checking.add(node)
        future = self._endpoint.request(node, Ping(), max_sends=max_sends)
        future.add_done_callback(lambda _: self._checking.discard(node))
