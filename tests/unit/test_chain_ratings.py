"""Ratings on the chain: promised, shown, one for each acceptance, one answer, and what silence means."""

import pytest

from node.ledger.chain.state import AccountId, Pair, Rated, pair_key, rated_key
from node.ledger.machine import InvalidBlock
from node.ledger.reputation.l1 import ONE, decayed
from protocol.receipts import DAY_MS
from protocol.transactions import AnswerRating, CommitRating, RevealRating, open_transaction, sign_transaction
from tests.harness.chains import EPOCH_MS, PEOPLE, START_UNIX_MS, World, unrated

CLIENT, CONTRACTOR, THIRD = PEOPLE[4:7]


def pair(world: World) -> Pair:
    key = pair_key(AccountId(CONTRACTOR.public_key), AccountId(CLIENT.public_key))
    return world.state.find(Pair, key) or Pair()


def answer(world: World, acceptance_id: bytes, stance: str = "dispute") -> bytes:
    return world.tx(
        AnswerRating, CONTRACTOR, acceptance_id=acceptance_id, stance=stance, objection="other", text_sha256=bytes(32)
    )


def test_a_rating_counts_for_its_pair_and_its_contractor() -> None:
    world = World()
    world.rated(CLIENT, CONTRACTOR, 1)
    world.rated(CLIENT, CONTRACTOR, 2, "fail")
    world.rated(THIRD, CONTRACTOR, 3, "late")
    account = world.account(CONTRACTOR)
    assert (account.successes, account.failures, account.ratings) == (ONE * 3 // 2, ONE * 3 // 2, 3)
    assert (pair(world).successes, pair(world).failures) == (ONE, ONE)


def test_a_rating_is_shown_in_a_later_epoch_than_it_was_promised_in() -> None:
    world = World()
    promised = world.rating(CLIENT, CONTRACTOR, 1)
    world.block(promised.commit)
    assert "it is shown in" in (world.why_not(promised.reveal) or "")
    assert world.why_not(promised.reveal, after_ms=EPOCH_MS) is None
    late = world.machine.genesis.parameters.reveal_epochs + 1
    assert "it is shown in" in (world.why_not(promised.reveal, after_ms=late * EPOCH_MS) or "")


def test_a_rating_that_was_not_promised_or_by_somebody_else_is_refused() -> None:
    world = World()
    promised = world.rating(CLIENT, CONTRACTOR, 1)
    copied = open_transaction(promised.commit).terms
    assert isinstance(copied, CommitRating)
    world.block(world.tx(CommitRating, THIRD, commitment=copied.commitment))
    assert "has not committed" in (world.why_not(promised.reveal, after_ms=EPOCH_MS) or "")
    assert world.why_not(promised.commit) is None  # a copied promise is in nobody's way


def test_another_salt_does_not_open_a_promise() -> None:
    world = World()
    promised = world.rating(CLIENT, CONTRACTOR, 1)
    world.block(promised.commit)
    terms = open_transaction(promised.reveal).terms
    assert isinstance(terms, RevealRating)
    changed = RevealRating(
        chain=terms.chain, rating=terms.rating, rating_signature=terms.rating_signature, salt=bytes(16)
    )
    assert "has not committed" in (world.why_not(sign_transaction(changed), after_ms=EPOCH_MS) or "")


def test_an_acceptance_is_rated_once() -> None:
    world = World()
    world.rated(CLIENT, CONTRACTOR, 1)
    again = world.rating(CLIENT, CONTRACTOR, 1, "fail")
    world.block(again.commit)
    assert "has had its one rating" in (world.why_not(again.reveal, after_ms=EPOCH_MS) or "")
    with pytest.raises(InvalidBlock, match="transaction 0 of block"):
        world.block(again.reveal, after_ms=EPOCH_MS)


def test_two_ratings_of_one_acceptance_in_one_block_are_refused_and_left_out_by_select() -> None:
    world = World()
    one, two = world.rating(CLIENT, CONTRACTOR, 1), world.rating(CLIENT, CONTRACTOR, 1, "fail")
    world.block(one.commit, two.commit)
    world.now += EPOCH_MS
    with pytest.raises(InvalidBlock, match="transaction 1 of block 2"):
        world.block(one.reveal, two.reveal)
    first, second = world.machine.select(world.state, [one.reveal, two.reveal], time_unix_ms=world.now)
    assert first is None
    assert "one rating" in (second or "")


def test_an_old_acceptance_is_rated_no_more() -> None:
    world = World()
    promised = world.rating(CLIENT, CONTRACTOR, 1)
    days = world.machine.genesis.parameters.rating_days + 1
    world.block(after_ms=days * DAY_MS)
    world.block(promised.commit)
    assert "days 20001 to 20032 are taken" in (world.why_not(promised.reveal, after_ms=EPOCH_MS) or "")


def test_a_rated_acceptance_is_forgotten_only_when_it_is_too_old_to_be_rated() -> None:
    world = World()
    promised = world.rating(CLIENT, CONTRACTOR, 1)
    world.block(promised.commit)
    world.block(promised.reveal, after_ms=EPOCH_MS)
    key = rated_key(promised.acceptance_id)
    retention_ms = world.machine.genesis.parameters.retention_ms
    world.block(after_ms=retention_ms)
    assert world.state.find(Rated, key) is not None
    world.block(after_ms=1)
    assert world.state.find(Rated, key) is None
    assert world.state.chain.retired_first == world.state.chain.retired_next


def test_one_clients_word_weighs_no_more_than_the_cap() -> None:
    world = World()
    for number in range(20):
        world.rated(CLIENT, CONTRACTOR, number)
    world.rated(CLIENT, CONTRACTOR, 20, "fail")
    cap = world.machine.genesis.parameters.pair_cap * ONE
    assert cap - 2 <= pair(world).successes + pair(world).failures <= cap
    assert pair(world).failures > ONE * 8 // 10
    assert world.account(CONTRACTOR).successes == pair(world).successes


def test_a_contractor_answers_a_rating_once_and_a_dispute_is_counted() -> None:
    world = World()
    promised = world.rating(CLIENT, CONTRACTOR, 1, "fail")
    world.block(promised.commit)
    world.block(promised.reveal, after_ms=EPOCH_MS)
    failures = world.account(CONTRACTOR).failures
    world.block(answer(world, promised.acceptance_id))
    assert (world.account(CONTRACTOR).disputed, pair(world).disputed) == (1, 1)
    assert world.account(CONTRACTOR).failures == failures
    assert "one answer" in (world.why_not(answer(world, promised.acceptance_id, "response")) or "")


def test_a_rating_is_answered_by_its_contractor_in_time() -> None:
    world = World()
    promised = world.rating(CLIENT, CONTRACTOR, 1, "fail")
    world.block(promised.commit)
    world.block(promised.reveal, after_ms=EPOCH_MS)
    fields = {"acceptance_id": promised.acceptance_id, "objection": "other", "text_sha256": bytes(32)}
    other = world.tx(AnswerRating, THIRD, stance="response", **fields)
    assert "by the contractor" in (world.why_not(other) or "")
    late = world.machine.genesis.parameters.answer_within_ms + 1
    assert "could be answered until" in (world.why_not(answer(world, promised.acceptance_id), after_ms=late) or "")
    assert "no recent rating" in (world.why_not(answer(world, bytes(32))) or "")


def test_a_delivery_that_nobody_rated_is_filed_after_the_deadline_and_then_closed() -> None:
    world = World()
    filing = unrated(world, CONTRACTOR, CLIENT, 1, START_UNIX_MS)
    assert "may rate it until" in (world.why_not(filing) or "")
    promised = world.rating(CLIENT, CONTRACTOR, 1)
    world.block(promised.commit, after_ms=EPOCH_MS)
    world.block(filing, after_ms=EPOCH_MS + 1)
    account = world.account(CONTRACTOR)
    assert (account.unrated, account.successes, account.failures) == (1, 0, 0)
    assert "one rating" in (world.why_not(promised.reveal) or "")
    assert "no recent rating" in (world.why_not(answer(world, promised.acceptance_id)) or "")


def test_a_rated_delivery_cannot_be_filed_as_unrated() -> None:
    world = World()
    world.rated(CLIENT, CONTRACTOR, 1)
    filing = unrated(world, CONTRACTOR, CLIENT, 1, START_UNIX_MS)
    assert "one rating" in (world.why_not(filing, after_ms=3 * EPOCH_MS) or "")


def test_who_has_no_account_neither_rates_nor_is_rated() -> None:
    world = World()
    stranger = PEOPLE[11]
    promised = world.rating(CLIENT, stranger, 1)
    world.block(promised.commit)
    assert "it has to join first" in (world.why_not(promised.reveal, after_ms=EPOCH_MS) or "")
    assert "it has to join first" in (world.why_not(world.rating(stranger, CONTRACTOR, 1).commit) or "")


def test_the_sums_of_a_contractor_are_those_of_its_pairs() -> None:
    world = World()
    for number, client in enumerate(PEOPLE[:4] * 3):
        world.rated(client, CONTRACTOR, number, ("ok", "fail", "late")[number % 3])
        world.block(after_ms=DAY_MS)
    account = world.account(CONTRACTOR)
    day = world.now // DAY_MS
    parts = [decayed(one.counts, day) for _, _, one in world.state.pairs(AccountId(CONTRACTOR.public_key))]
    sums = decayed(account.sums, day)
    assert len(parts) == 4
    assert abs(sums.successes - sum(one.successes for one in parts)) < 100
    assert abs(sums.failures - sum(one.failures for one in parts)) < 100
