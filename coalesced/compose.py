"""The composition root: the only place that builds a node out of its parts."""

import asyncio
from dataclasses import dataclass

import psutil
from msgspec.structs import replace

from coalesced.config import Config
from crypto.identity import Identity, short_id
from dht.contacts import ContactEvent
from dht.service import KademliaDiscovery
from node.background import Background
from node.community.community import Community
from node.community.shell import MakeShell, Shell
from node.credentials.proofs import Proofs
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
from node.outsource.client.agentorders import AgentOrders
from node.outsource.client.agents import NO_AGENTS, Agents
from node.outsource.client.attempt import Attempts
from node.outsource.client.canaries import Canaries, canary_items
from node.outsource.client.clearance import Clearance
from node.outsource.client.client import Client
from node.outsource.client.course import Course
from node.outsource.client.finder import Finder
from node.outsource.client.honeytokens import Honeytokens
from node.outsource.client.marketwatch import MarketWatch
from node.outsource.client.offers import Market
from node.outsource.client.orders import Orders
from node.outsource.client.promises import Promises
from node.outsource.client.reader import Reader
from node.outsource.client.running import Running
from node.outsource.client.settlement import Settlement
from node.outsource.client.standings import Standings
from node.outsource.client.successors import Successors
from node.outsource.client.survey import Surveyor
from node.outsource.client.unanswered import Unanswered
from node.outsource.contractor.clients import Clients
from node.outsource.contractor.contractor import Contractor
from node.outsource.contractor.countersigner import Countersigner
from node.outsource.contractor.quotedesk import QuoteDesk
from node.outsource.contractor.sales import Sales
from node.outsource.contractor.shop import Shop
from node.outsource.contractor.signposts import Signposts
from node.outsource.contractor.turns import Queues
from node.outsource.localwork import LocalWork
from node.outsource.orphans import Orphans
from node.outsource.settlement.adapter import Adapter
from node.outsource.settlement.arbiter import Arbiter
from node.outsource.settlement.credits import Credits
from node.outsource.settlement.none import NoSettlement
from node.outsource.settlement.papers import Papers
from node.outsource.settlement.steward import Steward
from node.outsource.tasklog import TaskLog
from node.registry.announcer import Announcer
from node.registry.lan import Lan
from node.registry.remote import Registry
from node.registry.sources import Sources
from node.router import Router
from node.store.store import Store
from protocol.messages import Message

AUDIT_LABEL = b"coalesced audit key 1"
ORDER_LABEL = b"coalesced order key 1"
EXAMINING_LABEL = b"coalesced examining key 1"
"""They sign nothing else, so that no signature that is ever sent can be the key."""


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
    make_shell: MakeShell = Shell
    agents: Agents = NO_AGENTS


@dataclass(frozen=True, slots=True)
class Built:
    """A node that has not started, and the one part that its owner's desks need beside it."""

    daemon: Daemon
    surveyor: Surveyor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """What both roles are made from."""

    config: Config
    ground: Ground
    hub: EventHub
    work: LocalWork
    tasks: TaskLog
    peers: Peers
    discovery: KademliaDiscovery
    sources: Sources
    in_background: Background


@dataclass(frozen=True, slots=True)
class _Paying:
    settling: Adapter
    steward: Steward | None


@dataclass(frozen=True, slots=True)
class _Selling:
    clients: Clients
    shop: Shop
    desk: QuoteDesk
    contractor: Contractor


@dataclass(frozen=True, slots=True)
class _Buying:
    surveyor: Surveyor
    finder: Finder
    promises: Promises
    unanswered: Unanswered
    running: Running
    client: Client


def build(config: Config, ground: Ground) -> Built:
    """Wire one node. Nothing starts, listens or spawns here."""
    identity, env, store, network = ground.identity, ground.env, ground.store, config.node.network
    hub = EventHub(env.unix_ms)

    async def handle(call: Call) -> Message:
        return await router.handle(call)

    def contact_changed(event: ContactEvent) -> None:
        daemon.contact_changed(event)

    in_background = Background(ground.group)
    discovery = KademliaDiscovery(
        identity,
        network,
        config.dht,
        unix_ms=env.unix_ms,
        rng=env.rng,
        entropy=env.entropy,
        on_contact=contact_changed,
    )
    base = _Base(
        config=config,
        ground=ground,
        hub=hub,
        work=LocalWork(ground.executor, store.calibrations, machine_rates(config), config.verification, env.unix_ms),
        tasks=TaskLog(store.tasks, hub, env.unix_ms),
        peers=Peers(identity, network, ground.transport, handle, env.entropy, config.net),
        discovery=discovery,
        sources=_sources(config, ground, discovery, in_background),
        in_background=in_background,
    )
    community = Community(
        identity=identity,
        network=network,
        env=env,
        store=store.ledger,
        peers=base.peers,
        discovery=base.discovery,
        advertised=ground.addresses.advertised,
        bootstrap=ground.bootstrap,
        config=config.ledger,
        journal=store.journal,
        make_shell=ground.make_shell,
    )
    paying = _paying(base, community)
    selling, buying = _selling(base, paying), _buying(base, community, paying)
    countersigner = Countersigner(
        identity=identity,
        env=env,
        journal=store.journal,
        tasks=base.tasks,
        earnings=store.earnings,
        clients=selling.clients,
    )
    proofs = Proofs(
        identity=identity,
        network=network,
        env=env,
        store=store.credentials,
        known=store.peers,
        peers=base.peers,
        discovery=base.discovery,
        config=config.proofs,
        attestation=config.attestation,
        sells=selling.shop.sells,
        is_idle=lambda: ground.executor.running + ground.executor.queue_depth == 0,
    )
    router = Router(selling.desk, selling.contractor, countersigner, community, paying.steward, proofs)
    parts = _parts(base, selling, buying, community, paying, proofs)
    daemon = Daemon(parts, ground.addresses, ground.bootstrap, ground.group)
    return Built(daemon, buying.surveyor)


def _sources(config: Config, ground: Ground, discovery: KademliaDiscovery, in_background: Background) -> Sources:
    """Where sellers are looked for, and where this node shows itself."""
    identity, env = ground.identity, ground.env
    registries = [
        Registry(address, timeout_s=config.registry.timeout_s, unix_ms=env.unix_ms) for address in config.registry.use
    ]
    lan = Lan(
        own=ground.addresses.advertised,
        name=short_id(identity.public_key),
        network=config.node.network,
        join=lambda host, port: discovery.add_bootstrap([(host, port)]),
        has_contacts=lambda: bool(discovery.contacts()),
    )
    return Sources(
        own_id=identity.node_id,
        discovery=discovery,
        registries=registries,
        announcer=Announcer(identity, registries, published=discovery.published, unix_ms=env.unix_ms),
        neighbours=lan if config.registry.lan else None,
        found=ground.store.found,
        config=config.registry,
        env=env,
        in_background=in_background,
    )


def _paying(base: _Base, community: Community) -> _Paying:
    """How hired work is paid for."""
    config, ground = base.config.settlement, base.ground
    if config.adapter == "none":
        return _Paying(NoSettlement(), None)

    async def tell(task_id: bytes, text: str) -> None:
        await base.tasks.note(task_id, "settled", text)

    steward = Steward(
        identity=ground.identity,
        env=ground.env,
        community=community,
        peers=base.peers,
        papers=Papers(ground.store.journal, ground.env),
        arbiter=Arbiter(ground.env, base.work, ground.store.exhibits),
        exhibits=ground.store.exhibits,
        config=config,
        tell=tell,
    )
    settling = Credits(
        identity=ground.identity,
        env=ground.env,
        community=community,
        config=config,
        steward=steward,
        fee_micro=base.work.spent_micro,
    )
    return _Paying(settling, steward)


def _selling(base: _Base, paying: _Paying) -> _Selling:
    """The contractor's role."""
    config, ground = base.config, base.ground
    identity, env, network = ground.identity, ground.env, config.node.network
    clients, turns = Clients(), Queues()
    shop = Shop(
        network=network,
        config=config.contractor,
        pricing=config.pricing,
        work=base.work,
        discovery=base.sources,
        advertised=ground.addresses.advertised,
        turns=turns,
        signposts=Signposts(
            network=network,
            discovery=base.sources,
            advertised=ground.addresses.advertised,
            has=config.contractor.has,
            env=env,
        ),
        in_background=base.in_background,
        unix_ms=env.unix_ms,
    )
    desk = QuoteDesk(
        identity=identity,
        network=network,
        config=config.contractor,
        env=env,
        work=base.work,
        shop=shop,
        clients=clients,
        settling=paying.settling,
    )
    contractor = Contractor(
        identity=identity,
        network=network,
        config=config.contractor,
        env=env,
        work=base.work,
        shop=shop,
        desk=desk,
        clients=clients,
        turns=turns,
        tasks=base.tasks,
        journal=ground.store.journal,
        hub=base.hub,
        settling=paying.settling,
    )
    return _Selling(clients, shop, desk, contractor)


def _buying(base: _Base, community: Community, paying: _Paying) -> _Buying:
    """The client's role."""
    config, env, store, identity = base.config, base.ground.env, base.ground.store, base.ground.identity
    surveyor = Surveyor(
        own_key=identity.public_key,
        own_endpoint=base.ground.addresses.advertised,
        network=config.node.network,
        config=config.client,
        decision=config.decision,
        work=base.work,
        sources=base.sources,
        market=Market(base.peers, env.unix_ms),
        settling=paying.settling,
        standings=Standings(identity.public_key, community, env),
        clearance=Clearance(config.security, store.shown, store.examinations),
        outcomes=store.outcomes,
        spending=store.spending,
        journal=store.journal,
        memories=store.policy_memories,
        is_blocked=base.peers.is_blocked,
        unix_ms=env.unix_ms,
        entropy=env.entropy,
        # Signatures that are never sent: known to nobody else, and the same after a restart.
        audit_key=identity.sign(AUDIT_LABEL, config.node.network.encode()),
        id_key=identity.sign(ORDER_LABEL, config.node.network.encode()),
    )
    timeout_s = config.client.receipt_timeout_s
    promises = Promises(env=env, spending=store.spending, journal=store.journal, in_background=base.in_background)
    orders = Orders(
        identity=identity,
        env=env,
        peers=base.peers,
        tasks=base.tasks,
        journal=store.journal,
        promises=promises,
        outcomes=store.outcomes,
        settlement=Settlement(identity=identity, env=env, journal=store.journal, peers=base.peers, timeout_s=timeout_s),
        settling=paying.settling,
        community=community,
        in_background=base.in_background,
    )
    agent_orders = AgentOrders(
        env=env,
        agents=base.ground.agents,
        work=base.work,
        promises=promises,
        journal=store.journal,
        outcomes=store.outcomes,
        tasks=base.tasks,
        in_background=base.in_background,
    )
    attempts = Attempts(
        env=env,
        work=base.work,
        orders=orders,
        agents=agent_orders,
        promises=promises,
        tasks=base.tasks,
        receipt_timeout_s=timeout_s,
        in_background=base.in_background,
    )
    finder = Finder(
        own_key=identity.public_key,
        own_endpoint=base.ground.addresses.advertised,
        network=config.node.network,
        executor=base.ground.executor,
        sources=base.sources,
        outcomes=store.outcomes,
        places=store.places,
        reader=Reader(config.meaning),
        has=config.contractor.has,
        is_blocked=base.peers.is_blocked,
        env=env,
        timeout_s=config.client.find_timeout_s,
    )
    running = Running(base.ground.group, config.client.max_running_tasks)
    examining_key = identity.sign(EXAMINING_LABEL, config.node.network.encode())
    client = Client(
        env=env,
        config=config.client,
        work=base.work,
        finder=finder,
        course=Course(
            env=env,
            surveyor=surveyor,
            attempts=attempts,
            tasks=base.tasks,
            decisions=store.decisions,
            finder=finder,
            watch=MarketWatch(env, store.quote_rounds, store.outcomes),
            agents=base.ground.agents,
        ),
        running=running,
        log_=base.tasks,
        tasks=store.tasks,
        blobs=store.blobs,
        canaries=Canaries(
            env=env,
            items=canary_items(config.verification.canaries),
            share=config.verification.canary_share,
            key=examining_key,
            examinations=store.examinations,
            outcomes=store.outcomes,
            in_background=base.in_background,
        ),
        honeytokens=Honeytokens(
            env=env, key=examining_key, examinations=store.examinations, is_on=config.client.honeytokens
        ),
    )
    unanswered = Unanswered(journal=store.journal, orders=orders, peers=store.peers, surveyor=surveyor)
    return _Buying(surveyor, finder, promises, unanswered, running, client)


def _parts(
    base: _Base, selling: _Selling, buying: _Buying, community: Community, paying: _Paying, proofs: Proofs
) -> Parts:
    """All of it together, for the daemon and its owner's desks."""
    config, ground, store = base.config, base.ground, base.ground.store
    running, promises, intake = buying.running, buying.promises, selling.contractor.intake
    return Parts(
        identity=ground.identity,
        network=config.node.network,
        env=ground.env,
        hub=base.hub,
        store=store,
        executor=ground.executor,
        work=base.work,
        discovery=base.discovery,
        sources=base.sources,
        peers=base.peers,
        community=community,
        settling=paying.settling,
        steward=paying.steward,
        successors=Successors(community, store.successions),
        proofs=proofs,
        shop=selling.shop,
        sales=Sales(
            env=ground.env,
            executor=ground.executor,
            shop=selling.shop,
            sold=store.sold_functions,
            earnings=store.earnings,
            hub=base.hub,
            rates=base.work.rates,
        ),
        desk=selling.desk,
        clients=selling.clients,
        contractor=selling.contractor,
        client=buying.client,
        finder=buying.finder,
        orphans=Orphans(
            env=ground.env,
            log_=base.tasks,
            tasks=store.tasks,
            blobs=store.blobs,
            promises=promises,
            is_under_way=lambda task_id: task_id in running or task_id in intake or promises.holds(task_id),
        ),
        unanswered=buying.unanswered,
        running=running,
        tasks=base.tasks,
        contractor_config=config.contractor,
        in_background=base.in_background,
    )


def machine_rates(config: Config) -> MachineRates:
    """The owner's rates, with this machine's memory where the owner stated none."""
    if config.machine.memory_bytes is not None:
        return config.machine
    return replace(config.machine, memory_bytes=psutil.virtual_memory().total)
