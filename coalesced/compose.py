"""The composition root: the only place that builds a node out of its parts."""

import asyncio
from dataclasses import dataclass

import psutil
from msgspec.structs import replace

from coalesced.config import Config
from crypto.identity import Identity
from dht.contacts import ContactEvent
from dht.service import KademliaDiscovery
from node.background import Background
from node.daemon import Daemon, Parts
from node.decision.internal_cost import MachineRates
from node.env import Env
from node.events import EventHub
from node.execute.executor import Executor
from node.net.addresses import Addresses
from node.net.endpoint import Endpoint
from node.net.peers import Peers
from node.net.session import Call
from node.net.transport import Transport
from node.outsource.attempt import Attempts
from node.outsource.client import Client
from node.outsource.contractor import Contractor
from node.outsource.countersigner import Countersigner
from node.outsource.course import Course
from node.outsource.localwork import LocalWork
from node.outsource.offers import Market
from node.outsource.orders import Orders
from node.outsource.orphans import Orphans
from node.outsource.quotedesk import QuoteDesk
from node.outsource.running import Running
from node.outsource.sales import Sales
from node.outsource.settlement import Settlement
from node.outsource.shop import Shop
from node.outsource.survey import Surveyor
from node.outsource.tasklog import TaskLog
from node.router import Router
from node.store.store import Store
from protocol.messages import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a node stands on: who it is, where it is, what it remembers, how it reaches others."""

    identity: Identity
    env: Env
    store: Store
    addresses: Addresses
    bootstrap: tuple[Endpoint, ...]
    transport: Transport
    executor: Executor
    group: asyncio.TaskGroup


@dataclass(frozen=True, slots=True)
class Built:
    """A node that has not started, and the one part that its owner's desks need beside it."""

    daemon: Daemon
    surveyor: Surveyor


def build(config: Config, ground: Ground) -> Built:
    """Wire one node. Nothing starts, listens or spawns here."""
    identity, env, store, network = ground.identity, ground.env, ground.store, config.node.network
    hub, background = EventHub(env.unix_ms), Background(ground.group)
    executor = ground.executor
    work = LocalWork(executor, store.calibrations, machine_rates(config), config.verification, env.unix_ms)
    tasks = TaskLog(store.tasks, hub, env.unix_ms)
    running = Running(ground.group, config.client.max_running_tasks)

    async def handle(call: Call) -> Message:
        return await router.handle(call)

    def contact_changed(event: ContactEvent) -> None:
        daemon.contact_changed(event)

    peers = Peers(identity, network, ground.transport, handle, env.entropy, config.net)
    discovery = KademliaDiscovery(
        identity,
        network,
        config.dht,
        unix_ms=env.unix_ms,
        rng=env.rng,
        entropy=env.entropy,
        on_contact=contact_changed,
    )
    shop = Shop(
        network=network,
        config=config.contractor,
        pricing=config.pricing,
        work=work,
        discovery=discovery,
        advertised=ground.addresses.advertised,
    )
    desk = QuoteDesk(identity=identity, network=network, config=config.contractor, env=env, work=work, shop=shop)
    contractor = Contractor(
        identity=identity,
        network=network,
        config=config.contractor,
        env=env,
        work=work,
        shop=shop,
        desk=desk,
        tasks=tasks,
        journal=store.journal,
        hub=hub,
    )
    router = Router(desk, contractor, Countersigner(identity=identity, env=env, journal=store.journal, tasks=tasks))
    surveyor = Surveyor(
        own_key=identity.public_key,
        network=network,
        config=config.client,
        decision=config.decision,
        work=work,
        discovery=discovery,
        market=Market(peers, env.unix_ms),
        outcomes=store.outcomes,
        spending=store.spending,
        journal=store.journal,
        is_blocked=peers.is_blocked,
        unix_ms=env.unix_ms,
    )
    orders = Orders(
        identity=identity,
        env=env,
        peers=peers,
        tasks=tasks,
        journal=store.journal,
        spending=store.spending,
        outcomes=store.outcomes,
        settlement=Settlement(
            identity=identity,
            env=env,
            journal=store.journal,
            peers=peers,
            timeout_s=config.client.receipt_timeout_s,
        ),
        in_background=background,
    )
    attempts = Attempts(
        env=env,
        work=work,
        orders=orders,
        tasks=tasks,
        receipt_timeout_s=config.client.receipt_timeout_s,
        in_background=background,
    )
    client = Client(
        env=env,
        config=config.client,
        work=work,
        course=Course(env=env, surveyor=surveyor, attempts=attempts, tasks=tasks, decisions=store.decisions),
        running=running,
        log_=tasks,
        tasks=store.tasks,
        blobs=store.blobs,
    )
    orphans = Orphans(
        env=env,
        log_=tasks,
        tasks=store.tasks,
        blobs=store.blobs,
        spending=store.spending,
        orders=orders,
        is_under_way=lambda task_id: task_id in running or task_id in contractor.intake,
    )
    parts = Parts(
        identity=identity,
        network=network,
        env=env,
        hub=hub,
        store=store,
        executor=executor,
        work=work,
        discovery=discovery,
        peers=peers,
        shop=shop,
        sales=Sales(env=env, executor=executor, shop=shop, sold=store.sold_functions, tasks=store.tasks, hub=hub),
        desk=desk,
        contractor=contractor,
        client=client,
        orphans=orphans,
        running=running,
        tasks=tasks,
        contractor_config=config.contractor,
        in_background=background,
    )
    daemon = Daemon(parts, ground.addresses, ground.bootstrap, ground.group)
    return Built(daemon, surveyor)


def machine_rates(config: Config) -> MachineRates:
    """The owner's rates, with this machine's memory where the owner stated none."""
    if config.machine.memory_bytes is not None:
        return config.machine
    return replace(config.machine, memory_bytes=psutil.virtual_memory().total)
