"""Three whole nodes on one chain of credits: a seller, a buyer, and the member who would arbitrate."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crypto.identity import Identity
from node.community.config import LedgerConfig
from node.community.genesis_file import make_genesis, render_genesis
from node.env import Env
from node.execute import catalogue
from node.execute.inline import BuiltinWork, InlineExecutor
from node.ledger.chain.genesis import Parameters
from node.ledger.chain.state import CLOSED, Account, Deal, State, account_key, deal_key
from node.outsource.config import ContractorConfig
from node.outsource.settlement.config import SettlementConfig
from protocol.specification import Effort
from tests.harness.communities import QUICK
from tests.harness.nodes import LIMIT_S, NETWORK, WORK, Node, World

TEXT = "The room was not clean, but the staff were wonderful. " * 40
SEEDS = tuple(number.to_bytes(32, "big") for number in (1, 2, 3))
EACH = 1_000_000
CREDITS = SettlementConfig(adapter="credits", margin_s=1.0, lock_timeout_s=5.0, dispute_after_s=0.2)


def sections(
    directory: Path, *, settlement: SettlementConfig = CREDITS, review_ms: int = 60_000, rule_ms: int = 2_000
) -> dict[str, Any]:
    """A chain of one member, with accounts for a seller and a buyer who are none."""
    file = directory / "genesis.json"
    if not file.exists():
        arbiter, *others = (Identity(seed).public_key for seed in SEEDS)
        genesis = make_genesis(
            name="three",
            network=NETWORK,
            time_unix_ms=Env().unix_ms() - 1000,
            members=[arbiter],
            others=others,
            each_credits=EACH,
            parameters=Parameters(review_ms=review_ms, rule_ms=rule_ms),
        )
        file.write_text(render_genesis(genesis))
    return {"ledger": LedgerConfig(genesis=str(file), agreement=QUICK), "settlement": settlement}


class Trio:
    """An arbiter, a seller and a buyer on one chain."""

    def __init__(self, arbiter: Node, seller: Node, buyer: Node) -> None:
        self.arbiter, self.seller, self.buyer = arbiter, seller, buyer

    @property
    def state(self) -> State:
        """As the arbiter, who is the committee, has it."""
        state: State = self.arbiter.parts.community.following.state
        return state

    def credits(self, node: Node) -> int:
        """What a node has free."""
        owner = self.state.account_of(node.key)
        assert owner is not None
        return self.state.the(Account, account_key(owner)).credits

    def deals(self) -> list[Deal]:
        """All of them."""
        return [entry for _, entry in self.state.trie.items(b"\x09") if isinstance(entry, Deal)]

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Return when something holds on the chain."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while not condition():
                    await self.arbiter.parts.community.following.next_block()
        except TimeoutError:
            raise AssertionError(f"not in time: {what}; deals: {self.deals()}") from None

    def deal(self, client: Node, name: bytes) -> Deal | None:
        """A client's deal of this name."""
        owner = self.state.account_of(client.key)
        return None if owner is None else self.state.find(Deal, deal_key(owner, name))

    async def paid(self, client: Node, name: bytes) -> int:
        """What was paid of it, once it is closed."""
        await self.until(lambda: (deal := self.deal(client, name)) is not None and deal.stage == CLOSED, "its end")
        closed = self.deal(client, name)
        assert closed is not None
        return closed.paid_credits

    async def closed(self) -> Deal:
        """The one deal, at its end; nothing was made or lost."""
        await self.until(lambda: [deal.stage for deal in self.deals()] == [CLOSED], "the deal is closed")
        (deal,) = self.deals()
        assert self.credits(self.seller) == EACH + deal.paid_credits
        assert self.credits(self.buyer) == EACH - deal.paid_credits
        return deal


async def trio(
    made: World,
    directory: Path,
    *,
    settlement: SettlementConfig = CREDITS,
    seller_settles: SettlementConfig = CREDITS,
    review_ms: int = 60_000,
    rule_ms: int = 2_000,
    pace_s: float = 0.0,
) -> Trio:
    """Three started nodes, the seller and the buyer with directories that outlive them."""
    common = sections(directory, settlement=settlement, review_ms=review_ms, rule_ms=rule_ms)
    for name in ("seller", "buyer"):
        (directory / name).mkdir()
    arbiter = await made.node(seed=SEEDS[0], sections={**common, "contractor": ContractorConfig(sell=False)})
    sells = sections(directory, settlement=seller_settles)
    seller = await made.seller(seed=SEEDS[1], sections=sells, directory=directory / "seller", pace_s=pace_s)
    buyer = await made.buyer(seed=SEEDS[2], sections=common, directory=directory / "buyer")
    return Trio(arbiter, seller, buyer)


class Fabrication(BuiltinWork):
    """Hands over the right form with something else in it."""

    def run(self, label: str, data: bytes, media_type: str, effort: Effort) -> bytes:
        skill = next(skill for skill in catalogue.SKILLS if skill.label == label)
        return WORK.run(label, skill.example, skill.example_media_type, effort)


def fabricate(seller: Node) -> None:
    """Let a seller do so from now on."""
    executor = seller.parts.executor
    assert isinstance(executor, InlineExecutor)
    executor._builtin = Fabrication()


def hold_steps(node: Node) -> None:
    """Let a node take no more steps in its deals."""

    async def held(*_: Any) -> None:
        return None

    steward = node.parts.steward
    assert steward is not None
    steward._act = held  # type: ignore[assignment,method-assign]


def let_step(node: Node) -> None:
    """Undo `hold_steps`."""
    steward = node.parts.steward
    assert steward is not None
    del steward._act
    steward.wake()
