"""From a receipt that two nodes signed to a rating that everybody on their chain agrees on."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from coalesced.cli.ledger_files import check_file, read_genesis
from crypto.identity import Identity, short_id
from node.community.config import LedgerConfig
from node.community.genesis_file import make_genesis, render_genesis
from node.community.rater import AT_A_TIME
from node.env import Env
from node.errors import UsageError
from node.ledger.chain.genesis import Parameters
from node.ledger.chain.state import Account, AccountId, State, account_key
from node.store.own_ratings import OwnRating
from node.views import AskRequest
from protocol.receipts import DAY_MS
from protocol.signed import RatingTerms, sign
from protocol.transactions import rating_commitment
from tests.harness.chains import acceptance
from tests.harness.communities import PEOPLE, QUICK, Neighbourhood, until
from tests.harness.nodes import LIMIT_S, NETWORK, Node, world

TEXT = "The room was not clean, but the staff were wonderful. " * 40
SEEDS = tuple(number.to_bytes(32, "big") for number in (1, 2))


def of_both(directory: Path) -> LedgerConfig:
    """A chain of the seller, on which the buyer has an account too, with short epochs."""
    seller, buyer = (Identity(seed).public_key for seed in SEEDS)
    genesis = make_genesis(
        name="two",
        network=NETWORK,
        time_unix_ms=Env().unix_ms() - 1000,
        members=[seller],
        others=[buyer],
        parameters=Parameters(epoch_ms=400, reveal_epochs=1000),
    )
    file = directory / "genesis.json"
    file.write_text(render_genesis(genesis))
    return LedgerConfig(genesis=str(file), agreement=QUICK)


async def test_on_a_chain_of_one_its_member_lets_in_whom_it_dealt_with_and_is_rated(tmp_path: Path) -> None:
    async with world() as made:
        seller_key = Identity(SEEDS[0]).public_key
        genesis = make_genesis(
            name="one",
            network=NETWORK,
            time_unix_ms=Env().unix_ms() - 1000,
            members=[seller_key],
            parameters=Parameters(epoch_ms=400, reveal_epochs=1000),
        )
        file = tmp_path / "genesis.json"
        file.write_text(render_genesis(genesis))
        ledger = LedgerConfig(genesis=str(file), agreement=QUICK)
        seller = await made.seller(seed=SEEDS[0], sections={"ledger": ledger})
        buyer = await made.buyer(seed=SEEDS[1], sections={"ledger": ledger})
        assert buyer.parts.community.following.state.account_of(buyer.key) is None
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")
        async with asyncio.timeout(LIMIT_S + 20):
            while not account(buyer, seller).ratings:  # noqa: ASYNC110  # a block has no event for its reader
                await asyncio.sleep(0.02)
        assert account(buyer, buyer).standing == 0


def account(node: Node, of: Node) -> Account:
    state: State = node.parts.community.following.state
    owner = state.account_of(of.key)
    assert owner is not None
    return state.the(Account, account_key(owner))


async def test_a_hired_job_ends_as_one_rating_on_the_chain_of_both(tmp_path: Path) -> None:
    async with world() as made:
        ledger = of_both(tmp_path)
        seller = await made.seller(seed=SEEDS[0], sections={"ledger": ledger})
        buyer = await made.buyer(seed=SEEDS[1], sections={"ledger": ledger})
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")
        async with asyncio.timeout(LIMIT_S):
            while not account(buyer, seller).ratings:  # noqa: ASYNC110  # a block has no event for its reader
                await asyncio.sleep(0.02)
        rated = account(buyer, seller)
        assert (rated.ratings, rated.failures) == (1, 0)
        assert rated.successes > 0
        assert await buyer.journal("rating") == ["rating"]
        assert account(seller, seller) == rated
        told = await buyer.owner.trust(short_id(seller.key))
        assert (told.ratings, told.own_jobs, [row.client for row in told.said]) == (1, 1, [short_id(buyer.key)])
        assert told.level_1_ppm > 500_000
        assert told.level_2_ppm is not None
        # The receipt's rating is proved by the receipt's id or its task's, on both sides; with it, the price.
        receipt = await buyer.owner.receipt(task.id)
        for node, name in ((buyer, receipt.digest[:12]), (buyer, task.id[:12]), (seller, receipt.id)):
            proof = await node.owner.ledger_proof(name)
            assert (proof.about, proof.receipt) == (f"rating of receipt {receipt.digest}", ())
        told_all = await buyer.owner.ledger_proof(task.id, with_receipt=True)
        file = tmp_path / "proof.json"
        file.write_bytes(msgspec.json.encode(told_all))
        checked = check_file(file, read_genesis(tmp_path / "genesis.json"))
        assert checked.ok
        assert checked.view["receipt"] == {
            "id": receipt.digest,
            "price_micro": receipt.price_micro,
            "paid_micro": task.cost_micro,
            "verdict": "accepted",
            "level": receipt.level,
        }
        with pytest.raises(UsageError, match="no receipt"):
            await buyer.owner.ledger_proof("00ff00ff")
        # Its own words are no news to the buyer, and nobody else has said anything.
        view = await buyer.owner.decide(AskRequest(skill="sentiment", text=TEXT, privacy="public"))
        assert any(f"Others say nothing of {short_id(seller.key)}" in reason for reason in view.reasons)


async def test_more_ratings_than_are_promised_at_a_time_are_promised_in_one_epoch(tmp_path: Path) -> None:
    member, count = PEOPLE[0], 3 * AT_A_TIME + 1
    now = Env().unix_ms()
    alone, own = Neighbourhood(tmp_path, 1), account_key(AccountId(member.public_key))
    try:
        node = await alone.start(alone.neighbour(0))
        await until(lambda: node.facts is not None, "it has read its file")
        for number in range(count):
            body, signature = acceptance(PEOPLE[1], member, number, now // DAY_MS)
            terms = RatingTerms(
                acceptance=body,
                acceptance_signature=signature,
                receipt_commitment=bytes(32),
                deadline_met=True,
                outcome="ok",
                score=90,
                explored=False,
                sequence=number,
            )
            rating, rating_signature = sign(member, terms)
            promise, salt = rating_commitment(bytes(16), rating), bytes(16)
            await node.store.own_ratings.add(OwnRating(promise, rating, rating_signature, salt, now))
        node.community._rater._wanted.set()  # as each rating does
        await until(lambda: node.state.the(Account, own).epoch_used == count, f"{count} ratings are promised")
    finally:
        await alone.end()
