"""A market maker probes sellers with real money; who buys what it found avoids the bad one, and can say why."""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import pytest

from crypto.identity import did_key, short_id
from node.env import Env
from node.errors import NoOfferError, VerificationError
from node.execute.config import ExecuteConfig
from node.execute.corpus import sentiment_case
from node.execute.executor import Executor
from node.execute.inline import BuiltinWork, InlineExecutor
from node.marketmaker.maker import MarketMaker
from node.outsource.config import ContractorConfig
from node.priors.config import MarketMakerConfig, PriorsConfig
from node.store.spending import Caps
from node.views import BuyPriorsRequest, SellRequest
from protocol.packing import unpack
from protocol.specification import Effort, Specification
from tests.harness.nodes import Node, Plan, World, joined

SKILL = "sentiment"


def text(number: int) -> str:
    """An input like many."""
    return sentiment_case(number, texts=2, sentences=20).input.decode()


TEXT = text(7)
NOTHING_YET = {"contractor": ContractorConfig(skills=())}
MAKING = MarketMakerConfig(
    serve=True, skills=(SKILL,), probe_budget_micro=1_000_000, seller_budget_micro=500_000, probe_every_s=86_400.0
)


class MadeUp(BuiltinWork):
    """Answers that look like answers, unless it is `honest`."""

    honest = False

    def run(self, label: str, data: bytes, media_type: str, effort: Effort) -> bytes:
        if self.honest:
            return super().run(label, data, media_type, effort)
        scores = [{"score": 0.0, "label": "neutral"} for _ in json.loads(data)["texts"]]
        return json.dumps({"scores": scores}).encode()


class Fabricator(Node):
    """A seller that makes its answers up."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.work = MadeUp()

    def _executor(self, config: ExecuteConfig, env: Env) -> Executor:
        return InlineExecutor(config, self.work, lambda label, units: self.plan.pace_s, probes={})


@dataclass(frozen=True)
class Town:
    """A market maker, two honest sellers, and a bad one that is cheaper."""

    world: World
    maker: Node
    good: tuple[Node, ...]
    bad: Fabricator

    @property
    def making(self) -> MarketMaker:
        assert self.maker.parts.market_maker is not None
        return self.maker.parts.market_maker

    async def probed(self, least: int) -> None:
        """Probe until each seller was, so often at least."""
        counts = Counter[bytes]()
        for _ in range(60):
            target = await self.making.prober.step()
            assert target is not None
            counts[target.seller] += 1
            if all(counts[node.key] >= least for node in (*self.good, self.bad)):
                return
        raise AssertionError(f"some are hardly probed: {counts}")

    async def buyer(self, **priors: object) -> Node:
        """A newcomer; with settings, one that hires market makers."""
        return await self.world.buyer(sections={"priors": PriorsConfig(**priors)})  # type: ignore[arg-type]


@asynccontextmanager
async def town(making: MarketMakerConfig = MAKING, *, good_micro: int = 2) -> AsyncIterator[Town]:
    async with World() as world:
        good = (await world.seller(sections=NOTHING_YET), await world.seller(sections=NOTHING_YET))
        plan = Plan(seed=b"\x77" * 32, bootstrap=world.bootstrap, sections=NOTHING_YET)
        bad = Fabricator(plan)
        await bad.start()
        world.nodes.append(bad)
        await joined(bad.parts)
        for node, price_micro in ((good[0], good_micro), (good[1], good_micro), (bad, 1)):
            await node.owner.sell(SellRequest(target=SKILL, price_micro=price_micro))
        sections = {
            "market_maker": making,
            **NOTHING_YET,
            "caps": Caps(day_micro=10**9, peer_micro=10**9),
        }
        yield Town(world, await world.node(sections=sections), good, bad)


async def test_a_newcomer_with_a_prior_avoids_the_bad_seller_at_once_and_says_why_and_without_one_does_not() -> None:
    making = msgspec.structs.replace(MAKING, probe_budget_micro=10**8, seller_budget_micro=10**7)
    async with town(making, good_micro=20) as here:  # so much dearer that a second more does not matter
        await here.probed(3)
        spent = await here.maker.parts.store.probes.spent_micro(Env().unix_ms())
        assert spent.get(here.bad.key, 0) == 0, "what is wrong is not paid"
        assert all(spent[node.key] > 0 for node in here.good)

        for _ in range(8):  # on a busy machine the cheap one's quote may come too late
            without = await here.buyer()
            first = await without.ask(SKILL, TEXT)
            timeline = [row.text for row in (await without.owner.why(first.id)).timeline]
            if any(f"to {short_id(here.bad.key)}" in text for text in timeline):
                break
        else:
            pytest.fail(f"eight newcomers without a prior left the cheap one alone: {timeline}")

        buyer = await here.buyer(makers=(did_key(here.maker.key),))
        task = await buyer.ask(SKILL, TEXT, least_level="full")  # what is accepted unseen says nothing of the maker
        why = await buyer.owner.why(task.id)
        assert task.state == "completed"
        assert not any(row.name == "awarded" and short_id(here.bad.key) in row.text for row in why.timeline)
        assert why.decision is not None
        assert why.decision.policy == "market-maker"
        said = next(line for line in why.decision.reasons if line.startswith(f"Of {short_id(here.bad.key)}"))
        assert f"market maker {short_id(here.maker.key)} (believed by 0.90) counts 0.0 good" in said
        assert "that counts as 0.0 good and " in said

        view = await buyer.owner.priors(SKILL)
        assert {row.peer for row in view.sellers} == {short_id(node.key) for node in (*here.good, here.bad)}
        (document,) = view.documents
        assert document.opened == 8
        assert 2 * 850 <= document.paid_micro <= 2 * 1_000, "two orders, at a discount while the maker is idle"
        (maker,) = view.makers
        assert (maker.named, maker.compared >= 1, maker.problem) == (True, True, "")
        probing = (await here.maker.owner.priors(None)).probing
        assert probing is not None
        assert (probing.sold, probing.spent_micro) == (1, sum(spent.values()))


async def test_no_probe_is_made_beyond_the_budget_and_each_looks_like_any_order_with_the_nodes_defaults() -> None:
    poor = MarketMakerConfig(serve=True, skills=(SKILL,), probe_budget_micro=60_000, seller_budget_micro=40_000)
    async with town(poor) as here:
        for _ in range(8):
            await here.making.prober.step()
        spent = await here.maker.parts.store.probes.spent_micro(Env().unix_ms())
        assert 0 < sum(spent.values()) <= 60_000
        assert max(spent.values()) <= 40_000

        seller = next(node for node in here.good if spent.get(node.key))
        await here.maker.ask(SKILL, TEXT, only=did_key(seller.key), privacy=None)
        tasks = await seller.parts.store.tasks.select(limit=10)
        orders = [unpack(Specification, row.specification) for row in tasks if row.peer == here.maker.key]
        assert len(orders) >= 2
        assert len({(one.constraints, one.verification, one.resources, one.output) for one in orders}) == 1


def whitewash(connection: sqlite3.Connection, seller: bytes) -> None:
    """Have a maker count all that this seller did as good."""
    connection.execute("UPDATE probes SET ending = 'good' WHERE seller = ?", (seller,))


async def test_a_maker_whose_receipts_are_not_what_it_signed_is_refused_and_counts_for_nothing() -> None:
    async with town() as here:
        await here.probed(2)
        await here.making.prober.prove()
        await here.maker.parts.store.database.write(whitewash, here.bad.key)
        buyer = await here.buyer(makers=(did_key(here.maker.key),), opened=32)
        # On a busy machine a probe may have ended with a fault report, in place of a receipt of refused work.
        said = "is counted as good|a receipt has 2 signatures, not 1"
        with pytest.raises(VerificationError, match=said):
            await buyer.owner.buy_priors(BuyPriorsRequest(skill=SKILL))
        view = await buyer.owner.priors(None)
        (maker,) = view.makers
        assert (maker.believed_ppm, view.documents, view.sellers) == (0, (), ())
        assert re.search(said, maker.problem)
        problems = [problem.text for problem in (await buyer.owner.status()).problems]
        assert any(text.startswith(f"market maker {maker.peer} counts for nothing here") for text in problems)


async def test_a_seller_that_serves_the_maker_well_and_others_badly_costs_the_maker_its_credit() -> None:
    async with town() as here:
        here.bad.work.honest = True
        await here.probed(3)
        here.bad.work.honest = False
        buyer = await here.buyer(makers=(did_key(here.maker.key),))
        bought = await buyer.owner.buy_priors(BuyPriorsRequest(skill=SKILL))
        assert bought.makers[0].believed_ppm == 900_000
        assert next(row for row in bought.sellers if row.peer == short_id(here.bad.key)).bad_milli == 0
        for number in range(3):
            await buyer.ask(SKILL, text(number), only=did_key(here.bad.key), least_level="full")
        (maker,) = (await buyer.owner.priors(None)).makers
        assert (maker.compared, maker.surprises) == (3, 3)
        assert maker.believed_ppm < 500_000


async def test_a_maker_is_found_in_the_network_and_believed_little_and_nobody_sells_what_nobody_probed() -> None:
    async with town() as here:
        await here.probed(1)
        buyer = await here.buyer(find=True)
        task = await buyer.ask(SKILL, TEXT)
        assert task.state == "completed"
        (maker,) = (await buyer.owner.priors(SKILL)).makers
        assert (maker.named, maker.peer, maker.bought) == (False, short_id(here.maker.key), 1)
        with pytest.raises(NoOfferError, match="no seller of risk was probed"):
            await buyer.owner.buy_priors(BuyPriorsRequest(skill="risk"))
        misled = await here.buyer(makers=(did_key(here.good[0].key),))
        assert (await misled.ask(SKILL, TEXT)).state == "completed", "whoever is named and sells none holds nothing up"
        (named,) = (await misled.owner.priors(None)).makers
        assert (named.named, named.bought) == (True, 0)
