"""The market maker's part, in a node that is one."""

from coalesced.compose.buying import Buying
from coalesced.compose.ground import Base
from coalesced.compose.selling import Selling
from node.marketmaker.maker import MarketMaker
from node.marketmaker.prober import Prober
from node.marketmaker.questions import Questions
from node.marketmaker.stall import Stall
from node.outsource.client.canaries import items_of


def build_market_maker(base: Base, selling: Selling, buying: Buying) -> MarketMaker:
    """Its prober and its stall."""
    config, ground, store = base.config.market_maker, base.ground, base.ground.store
    prober = Prober(
        config=config,
        env=ground.env,
        probes=store.probes,
        questions=Questions(
            items=items_of(config.items, "market_maker.items"),
            executor=ground.executor,
            examinations=store.examinations,
            env=ground.env,
        ),
        listings=buying.listings.of,
        order=buying.client.order,
        decisions=store.decisions,
        journal=store.journal,
        asked=lambda skill: stall.sold[skill],
    )
    stall = Stall(
        identity=ground.identity,
        network=base.config.node.network,
        config=config,
        env=ground.env,
        probes=store.probes,
        prove=prober.prove,
    )
    return MarketMaker(
        config,
        prober,
        stall,
        executor=ground.executor,
        shop=selling.shop,
        sells=base.config.contractor.sell,
    )
