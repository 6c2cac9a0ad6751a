"""The two halves of a market maker, and how they begin with the node."""

import structlog

from node.execute.executor import Executor
from node.marketmaker.prober import Prober
from node.marketmaker.stall import Stall
from node.outsource.contractor.shop import Shop
from node.priors.config import MarketMakerConfig

log = structlog.get_logger()


class MarketMaker:
    """Probes, and sells what it finds."""

    def __init__(
        self,
        config: MarketMakerConfig,
        prober: Prober,
        stall: Stall,
        *,
        executor: Executor,
        shop: Shop,
        sells: bool,
    ) -> None:
        """`sells`: otherwise it probes for itself alone."""
        self.config = config
        self.prober = prober
        self.stall = stall
        self._executor = executor
        self._shop = shop
        self._sells = sells

    async def open(self) -> None:
        """Put the documents on sale, in a node that sells."""
        if not self._sells:
            return
        skill = self._executor.register_remote(self.stall)
        await self._shop.put_up(self._shop.ware(skill, self.config.price_micro, "market maker"))

    async def run(self) -> None:
        """Probe until cancelled."""
        log.info("market_maker.probing", skills=self.prober.skills, budget_micro=self.config.probe_budget_micro)
        await self.prober.run()
