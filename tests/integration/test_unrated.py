"""A client that never rates: its contractor files the delivery, across restarts and whatever becomes of the client."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from crypto.identity import Identity, short_id
from node.community.config import LedgerConfig
from node.community.genesis_file import make_genesis, render_genesis
from node.env import Env
from node.ledger.chain.genesis import Parameters
from node.ledger.chain.state import Account, account_key
from node.store.own_deliveries import OwnDelivery
from tests.harness.communities import QUICK
from tests.harness.nodes import LIMIT_S, NETWORK, Node, World, world

TEXT = "The room was not clean, but the staff were wonderful. " * 40
SEEDS = tuple(number.to_bytes(32, "big") for number in (1, 2))
LONG_MS = 3_600_000


def chain(directory: Path, unrated_after_ms: int, epoch_ms: int = LONG_MS, *, has_both: bool = True) -> LedgerConfig:
    """A chain of the seller, on which the buyer has an account; or of the buyer alone, where not `has_both`."""
    seller, buyer = (Identity(seed).public_key for seed in SEEDS)
    genesis = make_genesis(
        name="two",
        network=NETWORK,
        time_unix_ms=Env().unix_ms() - 1000,
        members=[seller] if has_both else [buyer],
        others=[buyer],
        parameters=Parameters(epoch_ms=epoch_ms, reveal_epochs=1000, unrated_after_ms=unrated_after_ms),
    )
    file = directory / "genesis.json"
    file.write_text(render_genesis(genesis))
    return LedgerConfig(genesis=str(file), agreement=QUICK)


async def hired(made: World, directory: Path, ledger: LedgerConfig) -> tuple[Node, Node]:
    """A seller that has delivered one job; what its client says of it is not shown before the next epoch."""
    seller = await made.seller(seed=SEEDS[0], directory=directory / "seller", sections={"ledger": ledger})
    buyer = await made.buyer(seed=SEEDS[1], sections={"ledger": ledger})
    task = await buyer.ask("sentiment", TEXT)
    assert (task.state, task.choice) == ("completed", "outsource")
    return seller, buyer


async def kept(node: Node) -> list[OwnDelivery]:
    return await node.parts.community.following.store.own_deliveries.after(None, 10)


def unrated(at: Node, of: Node) -> tuple[int, int]:
    """Deliveries filed as unrated, and ratings, of `of` by the chain of `at`."""
    state = at.parts.community.following.state
    owner = state.account_of(of.key)
    assert owner is not None
    account = state.the(Account, account_key(owner))
    return account.unrated, account.ratings


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110  # a block has no event for its reader
            await asyncio.sleep(0.02)


async def test_a_client_that_never_rates_has_its_delivery_filed_once_and_the_papers_are_forgotten(
    tmp_path: Path,
) -> None:
    async with world() as made:
        seller, buyer = await hired(made, tmp_path, chain(tmp_path, 1_500))
        assert len(await kept(seller)) == 1
        assert unrated(seller, seller) == (0, 0)
        await until(lambda: unrated(buyer, seller) == (1, 0))
        async with asyncio.timeout(LIMIT_S):
            while await kept(seller):  # noqa: ASYNC110  # the file has no event for it
                await asyncio.sleep(0.02)
        told = await buyer.owner.trust(short_id(seller.key))
        assert (told.unrated, told.ratings) == (1, 0)


async def test_a_delivery_is_filed_by_a_restarted_seller_though_its_client_was_killed(tmp_path: Path) -> None:
    async with world() as made:
        seller, buyer = await hired(made, tmp_path, chain(tmp_path, 4_000))
        await buyer.crash()
        await seller.crash()
        await seller.start()
        assert len(await kept(seller)) == 1
        await until(lambda: unrated(seller, seller) == (1, 0))


async def test_a_delivery_waits_for_its_clients_time_to_rate(tmp_path: Path) -> None:
    async with world() as made:
        seller, _ = await hired(made, tmp_path, chain(tmp_path, LONG_MS))
        assert await seller.parts.contractor.unrated._look(seller.parts.community.following) > 1
        assert (unrated(seller, seller), len(await kept(seller))) == ((0, 0), 1)


async def test_what_its_client_has_rated_is_not_filed_and_its_papers_are_forgotten(tmp_path: Path) -> None:
    async with world() as made:
        seller, _ = await hired(made, tmp_path, chain(tmp_path, LONG_MS, epoch_ms=400))
        await until(lambda: unrated(seller, seller) == (0, 1))
        await seller.parts.contractor.unrated._look(seller.parts.community.following)
        assert await kept(seller) == []


async def test_a_seller_without_an_account_keeps_no_papers(tmp_path: Path) -> None:
    async with world() as made:
        seller, _ = await hired(made, tmp_path, chain(tmp_path, LONG_MS, has_both=False))
        assert await kept(seller) == []
