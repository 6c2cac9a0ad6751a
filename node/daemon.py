"""A node alive: its parts in the order in which they start and stop.

start   recover -> sessions and DHT listen -> measure own skills -> put up offers
stop    no new business -> running work ends or is given up -> receipts collected -> adverts withdrawn
        -> sessions closed -> workers killed
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from crypto.identity import Identity, did_key, short_id
from dht.contacts import ContactEvent, ContactJoined
from dht.errors import DhtError
from dht.service import KademliaDiscovery
from node.background import Background
from node.community.community import Community
from node.community.following import guarded
from node.credentials.examining import Examining
from node.credentials.proofs import Proofs
from node.env import Env
from node.errors import NodeError
from node.events import EventHub
from node.execute.executor import Executor
from node.net.addresses import Addresses
from node.net.endpoint import Endpoint
from node.net.errors import ListenError
from node.net.peers import Peers
from node.outsource.client.client import Client
from node.outsource.client.finder import Finder
from node.outsource.client.hearsay import Hearsay
from node.outsource.client.reexamining import Reexaminer
from node.outsource.client.rollcall import RollCall
from node.outsource.client.running import Running
from node.outsource.client.subscriptions import Subscriptions
from node.outsource.client.successors import Successors
from node.outsource.client.unanswered import Unanswered
from node.outsource.config import ContractorConfig
from node.outsource.contractor.clients import Clients
from node.outsource.contractor.contractor import Contractor
from node.outsource.contractor.quotedesk import QuoteDesk
from node.outsource.contractor.sales import Sales
from node.outsource.contractor.shop import Shop
from node.outsource.localwork import LocalWork
from node.outsource.orphans import LOOK_S, Orphans
from node.outsource.settlement.adapter import Adapter
from node.outsource.settlement.steward import Steward
from node.outsource.tasklog import TaskLog
from node.registry.sources import Sources
from node.store.store import Store

if TYPE_CHECKING:
    from node.marketmaker.maker import MarketMaker

log = structlog.get_logger()

UPKEEP_S = 600.0
"""How often what is past its retention is dropped."""
FAREWELL_S = 3.0
"""What a stopping node gives to receipts that are being signed, results being judged, faults being told: a handshake
and a round trip to the other end of the world. What is not done by then is taken up by the next start."""
REMEMBERED_PEERS = 16
"""Known peers that a restarted node tries beside its bootstrap addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything a node is made of, wired by the composition root."""

    identity: Identity
    network: str
    env: Env
    hub: EventHub
    store: Store
    executor: Executor
    work: LocalWork
    discovery: KademliaDiscovery
    sources: Sources
    peers: Peers
    community: Community
    settling: Adapter
    steward: Steward | None
    successors: Successors
    proofs: Proofs
    examining: Examining
    reexaminer: Reexaminer
    shop: Shop
    sales: Sales
    desk: QuoteDesk
    clients: Clients
    contractor: Contractor
    client: Client
    finder: Finder
    hearsay: Hearsay
    subscriptions: Subscriptions
    market_maker: "MarketMaker | None"
    roll_call: RollCall
    orphans: Orphans
    unanswered: Unanswered
    running: Running
    tasks: TaskLog
    contractor_config: ContractorConfig
    in_background: Background


class Daemon:
    """Starts and stops the parts. `until_stopped` waits for somebody to ask for the end."""

    def __init__(self, parts: Parts, addresses: Addresses, bootstrap: Sequence[Endpoint], group: asyncio.TaskGroup):
        self.parts = parts
        self.addresses = addresses
        self.bootstrap = tuple(bootstrap)
        self.is_ready = False
        self.is_stopping = False
        self._group = group
        self._stop_asked = asyncio.Event()
        self._force_asked = asyncio.Event()
        self._own_tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Bring everything up; when it returns, the node serves."""
        parts = self.parts
        broken = await parts.store.journal.check_end()
        if broken is not None:
            log.error("journal.damaged", problem=str(broken))
            parts.desk.close("unable", "this node's journal is damaged: it sells nothing until that is repaired")
        await parts.orphans.end_all()
        await parts.work.load()
        await parts.community.open()
        parts.clients.remember(await parts.store.tasks.payers())
        for blocked in await parts.store.peers.blocked():
            parts.peers.block(blocked.public_key, float("inf"))
        try:
            await parts.peers.start(self.addresses.listen)
            await parts.discovery.start([(one.host, one.port) for one in self.addresses.listen])
            await parts.sources.open()
        except (NodeError, DhtError) as error:
            # Half a node must not be left behind, whoever goes on living in this process.
            await asyncio.gather(parts.sources.stop(), parts.discovery.stop())
            await parts.peers.stop()
            raise error if isinstance(error, NodeError) else ListenError(str(error)) from error
        known = await parts.store.peers.known(REMEMBERED_PEERS)
        parts.discovery.add_bootstrap((one.host, one.port) for one in self.bootstrap)
        parts.discovery.add_bootstrap((one.host, one.port) for one in known)
        self._own_tasks = [
            self._group.create_task(work)
            for work in (
                self._keep_up(),
                self._settle_in(),
                self._end_orphans(),
                parts.community.run(),
                guarded(parts.sources.run()),
                guarded(parts.settling.run()),
                guarded(parts.contractor.unrated.run()),
                guarded(parts.successors.run()),
                *([guarded(parts.market_maker.run())] if parts.market_maker is not None else []),
            )
        ]
        parts.in_background(parts.unanswered.ask_again())
        self.is_ready = True
        log.info(
            "node.started",
            node=short_id(parts.identity.public_key),
            did=did_key(parts.identity.public_key),
            network=parts.network,
            listening=[str(one) for one in self.addresses.listen],
            advertised=str(self.addresses.advertised),
            reach=self.addresses.explanation,
        )

    async def until_stopped(self) -> bool:
        """Wait until the end is asked for; whether running work may finish first."""
        await self._stop_asked.wait()
        return not self._force_asked.is_set()

    def ask_to_stop(self, *, drain: bool) -> None:
        """Ask for the end; asking again, or without drain, forces it."""
        if self._stop_asked.is_set() or not drain:
            self._force_asked.set()
        self._stop_asked.set()

    async def stop(self) -> None:
        """Bring everything down. Work that does not end in time, or when forced, is given up and says so."""
        parts = self.parts
        self.is_ready, self.is_stopping = False, True
        parts.hub.tell("stopping", "the node is stopping")
        drain_s = parts.contractor_config.drain_timeout_s
        forced = self._group.create_task(self._wait_for_force())
        draining = self._group.create_task(self._drain(drain_s))
        await asyncio.wait([forced, draining], return_when=asyncio.FIRST_COMPLETED)
        for task in (forced, draining, *self._own_tasks):
            task.cancel()
        await parts.running.stop()
        await parts.contractor.stop()
        parts.shop.stop()
        await parts.in_background.end(FAREWELL_S)
        await asyncio.gather(parts.sources.stop(), parts.discovery.stop())
        await parts.peers.stop()
        await parts.executor.stop()
        parts.proofs.close()
        log.info("node.stopped", node=short_id(parts.identity.public_key))

    async def _drain(self, drain_s: float) -> None:
        await asyncio.gather(self.parts.contractor.drain(drain_s), self.parts.running.drain(drain_s))

    async def _wait_for_force(self) -> None:
        await self._force_asked.wait()

    async def _settle_in(self) -> None:
        """What need not be done before the node serves: measure the own skills, then sell them at that cost."""
        try:
            await self.parts.work.measure_new()
            self.parts.shop.certificate_sha256 = await self.parts.proofs.desk.digest()
            await self.parts.sales.open()
            if self.parts.market_maker is not None:
                await self.parts.market_maker.open()
        except (NodeError, DhtError) as error:
            log.error("offers.not_published", error=str(error))

    async def _end_orphans(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.parts.orphans.look()
            except NodeError as error:
                log.error("orphans.not_ended", error=str(error))

    async def _keep_up(self) -> None:
        while True:
            try:
                await self.parts.store.sweep(self.parts.env.unix_ms())
            except NodeError as error:
                log.error("upkeep.failed", error=str(error))
            await asyncio.sleep(UPKEEP_S)

    def contact_changed(self, event: ContactEvent) -> None:
        """Remember who is there, and tell listeners."""
        contact, parts = event.contact, self.parts
        joined = isinstance(event, ContactJoined)
        where = f"{contact.host}:{contact.port}"
        parts.hub.tell("peer_connected" if joined else "peer_lost", where, peer=short_id(contact.public_key))
        if joined:
            parts.in_background(
                parts.store.peers.seen(
                    contact.public_key, contact.host, contact.port, parts.env.unix_ms(), contact.rtt_s
                )
            )
