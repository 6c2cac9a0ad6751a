"""One node, wired."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
from msgspec.structs import replace

from coalesced.compose.buying import Buying, build_buying
from coalesced.compose.examined import Examined, build_examined
from coalesced.compose.ground import Base, Ground
from coalesced.compose.paying import Paying, build_paying
from coalesced.compose.selling import Selling, build_selling
from coalesced.compose.sources import build_sources
from coalesced.config import Config
from coalesced.gateway.a2a.extra import reselling
from crypto.identity import short_id
from dht.contacts import ContactEvent
from dht.service import KademliaDiscovery
from node.background import Background
from node.community.community import Community
from node.credentials.proofs import Proofs
from node.daemon import Daemon, Parts
from node.decision.internal_cost import MachineRates
from node.events import EventHub
from node.net.peers import Peers
from node.net.session import Call
from node.outsource.client.listings import Listings
from node.outsource.client.running import Running
from node.outsource.client.successors import Successors
from node.outsource.contractor.countersigner import Countersigner
from node.outsource.contractor.elsewhere import Elsewhere
from node.outsource.contractor.sales import Sales
from node.outsource.delegations import Delegations
from node.outsource.expenses import Expenses
from node.outsource.localwork import LocalWork
from node.outsource.orphans import Orphans
from node.outsource.tasklog import TaskLog
from node.router import Router
from protocol.messages import Message

if TYPE_CHECKING:
    from node.marketmaker.maker import MarketMaker


@dataclass(frozen=True, slots=True)
class Built:
    """A node that has not started, and the one part that its owner's desks need beside it."""

    daemon: Daemon
    listings: Listings


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
    running = Running(ground.group, config.client.max_running_tasks)
    base = Base(
        config=config,
        ground=ground,
        hub=hub,
        work=LocalWork(ground.executor, store.calibrations, machine_rates(config), config.verification, env.unix_ms),
        tasks=TaskLog(store.tasks, hub, env.unix_ms),
        peers=Peers(identity, network, ground.transport, handle, env.entropy, config.net),
        discovery=discovery,
        sources=build_sources(config, ground, discovery, in_background),
        in_background=in_background,
        running=running,
        expenses=Expenses(store.spending),
        delegations=Delegations(short_id(identity.public_key), env.entropy, running.end),
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
    paying = build_paying(base, community)
    selling = build_selling(base, community, paying)
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
    examined = build_examined(base, proofs)
    buying = build_buying(base, community, paying, examined.reexaminer)
    countersigner = Countersigner(
        identity=identity,
        env=env,
        journal=store.journal,
        tasks=base.tasks,
        earnings=store.earnings,
        clients=selling.clients,
    )
    market_maker = _market_maker(base, selling, buying)
    router = Router(selling.desk, selling.contractor, countersigner, community, paying.steward, proofs)
    parts = _parts(base, selling, buying, community, paying, examined, market_maker)
    daemon = Daemon(parts, ground.addresses, ground.bootstrap, ground.group)
    return Built(daemon, buying.listings)


def _market_maker(base: Base, selling: Selling, buying: Buying) -> "MarketMaker | None":
    """Its parts, which only a node that is one loads."""
    if not base.config.market_maker.serve:
        return None
    from coalesced.compose.marketmaking import build_market_maker

    return build_market_maker(base, selling, buying)


def _parts(
    base: Base,
    selling: Selling,
    buying: Buying,
    community: Community,
    paying: Paying,
    examined: Examined,
    market_maker: "MarketMaker | None",
) -> Parts:
    """All of it together, for the daemon and its owner's desks."""
    config, ground, store = base.config, base.ground, base.ground.store
    running, promises, intake = base.running, buying.promises, selling.contractor.intake
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
        successors=Successors(community, store.successions, base.peers),
        proofs=examined.proofs,
        examining=examined.examining,
        reexaminer=examined.reexaminer,
        shop=selling.shop,
        sales=Sales(
            env=ground.env,
            executor=ground.executor,
            shop=selling.shop,
            sold=store.sold_functions,
            earnings=store.earnings,
            hub=base.hub,
            elsewhere=Elsewhere(ground.executor, base.work.rates, reselling(ground.identity, ground.env)),
        ),
        desk=selling.desk,
        clients=selling.clients,
        contractor=selling.contractor,
        client=buying.client,
        finder=buying.finder,
        hearsay=buying.hearsay,
        subscriptions=buying.subscriptions,
        market_maker=market_maker,
        roll_call=buying.roll_call,
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
