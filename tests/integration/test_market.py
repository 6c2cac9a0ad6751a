"""What a node has seen of its markets: real quotes in a real store, shown to its owner and beside its decisions."""

from pathlib import Path

import msgspec

from coalesced.cli.explain import why_lines
from crypto.identity import Identity
from node.market.overview import Answer
from node.market.screens import CARTEL_TASKS
from node.net.session import Call
from node.store.blobs import RetentionConfig
from node.store.history import JobOutcome
from node.store.quoterounds import MAX_ROUNDS_PER_SKILL
from node.store.spending import Caps
from node.store.store import Store
from node.views import AskRequest
from protocol.messages import Decline, Message, QuoteRequest
from tests.harness import hostile
from tests.harness.dealing import Seller
from tests.harness.hostile import market

TEXT = "The room was not clean, but the staff were wonderful."


async def open_store(directory: Path) -> Store:
    return await Store.open(directory, Identity(bytes(32)), caps=Caps(), retention=RetentionConfig())


async def test_rounds_are_kept_across_a_restart_the_oldest_going_first(tmp_path: Path) -> None:
    answer = Answer(seller=b"s" * 32, price_micro=7, load_ppm=5)
    store = await open_store(tmp_path)
    for number in range(MAX_ROUNDS_PER_SKILL + 3):
        await store.quote_rounds.add(number.to_bytes(16, "big"), "risk", [answer], number)
    await store.quote_rounds.add(b"x" * 16, "sentiment", [], 1)
    await store.close()
    store = await open_store(tmp_path)
    try:
        rounds = await store.quote_rounds.of_skill("risk")
        assert [one.unix_ms for one in rounds] == list(range(3, MAX_ROUNDS_PER_SKILL + 3))
        assert rounds[0].answers == (answer,)
        assert await store.quote_rounds.skills() == ["risk", "sentiment"]
        assert await store.quote_rounds.forget(50) == 48
    finally:
        await store.close()


async def test_awards_of_a_skill_are_given_the_latest_first(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    try:
        for number, skill in enumerate(("risk", "risk", "sentiment", "risk")):
            key, task_id = bytes([number]) * 32, bytes([number]) * 16
            job = JobOutcome(task_id=task_id, contractor=key, skill=skill, unix_ms=number, success=True, kind="ok")
            await store.outcomes.record(job)
        assert await store.outcomes.awards("risk", 2) == [bytes([3]) * 32, bytes([1]) * 32]
    finally:
        await store.close()


async def test_a_ring_is_shown_in_the_market_and_said_beside_every_later_decision() -> None:
    ring = [Seller(price_micro=price) for price in (100, 105, 105, 104)]
    async with market(*ring) as buyer:
        first = await buyer.ask("sentiment", TEXT)
        for _ in range(CARTEL_TASKS - 1):
            await buyer.ask("sentiment", TEXT)
        (seen,) = (await buyer.owner.market(None)).markets
        assert (seen.skill, seen.rounds, seen.sellers, seen.quotes) == ("sentiment", 20, 4, 80)
        assert (seen.lowest_micro, seen.highest_micro) == (100, 105)
        assert seen.awards >= 20  # more where a second seller was hired for a redundant check
        assert [flag.screen for flag in seen.flags][:1] == ["cartel"]
        assert seen.hhi is not None
        assert sum(share.share_ppm for share in seen.shares) == 1_000_000

        before, after = await buyer.owner.why(first.id), await buyer.owner.why((await buyer.ask("sentiment", TEXT)).id)
        assert before.decision is not None
        assert after.decision is not None
        assert before.decision.market == ()
        assert "cartel" in [flag.screen for flag in after.decision.market]
        dry = await buyer.owner.decide(AskRequest(skill="sentiment", text=TEXT))
        assert "cartel" in [flag.screen for flag in dry.market]
        assert (await buyer.owner.market("sentiment")).markets[
            0
        ].rounds == CARTEL_TASKS + 1  # a dry run leaves no trace
        lines = list(why_lines(msgspec.to_builtins(after)))
        assert any(line.startswith("Market: cartel: over 20 tasks") and "no proof" in line for line in lines)


class Choosy(Seller):
    """Has room, and does not want this task."""

    async def quote(self, call: Call, request: QuoteRequest) -> Message:
        return Decline(code="privacy", text="too secret for me")


async def test_who_is_busy_or_silent_withholds_and_who_declines_the_task_does_not() -> None:
    async with market(Seller(), hostile.Silent(), hostile.Declining(), Choosy()) as buyer:
        await buyer.ask("sentiment", TEXT)
        (one,) = await buyer.parts.store.quote_rounds.of_skill("sentiment")
        assert sorted((answer.price_micro is None, answer.is_withheld) for answer in one.answers) == [
            (False, False),
            (True, False),
            (True, True),
            (True, True),
        ]


async def test_a_market_that_nobody_was_asked_in_is_empty() -> None:
    async with market() as buyer:
        assert (await buyer.owner.market(None)).markets == ()
        (row,) = (await buyer.owner.market("risk")).markets
        assert (row.rounds, row.quotes, row.shares, row.flags) == (0, 0, (), ())
