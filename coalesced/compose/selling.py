"""The contractor's role."""

from dataclasses import dataclass

from coalesced import __version__
from coalesced.compose.ground import Base
from coalesced.compose.paying import Paying
from node.community.community import Community
from node.outsource.contractor.clients import Clients
from node.outsource.contractor.contractor import Contractor
from node.outsource.contractor.quotedesk import QuoteDesk
from node.outsource.contractor.shop import Shop
from node.outsource.contractor.signposts import Signposts
from node.outsource.contractor.turns import Queues
from node.outsource.contractor.unrated import Unrated


@dataclass(frozen=True, slots=True)
class Selling:
    """What the contractor's role is made of."""

    clients: Clients
    shop: Shop
    desk: QuoteDesk
    contractor: Contractor


def build_selling(base: Base, community: Community, paying: Paying) -> Selling:
    """The contractor's role."""
    config, ground = base.config, base.ground
    identity, env, network = ground.identity, ground.env, config.node.network
    clients, turns = Clients(), Queues()
    shop = Shop(
        network=network,
        program=f"coalesced {__version__}",
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
        unrated=Unrated(env, community),
        expenses=base.expenses,
        delegations=base.delegations,
    )
    return Selling(clients, shop, desk, contractor)
