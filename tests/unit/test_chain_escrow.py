"""Credits in escrow: who may move them, when, and what silence means."""

from typing import Any

import pytest

from crypto.identity import Identity
from node.ledger.chain.state import CLOSED, Deal
from protocol.transactions import Dispute, Expire, Fund, Grant, InDeal, Refund, Release, Rule, Submit
from tests.harness.chains import EPOCH_MS, MEMBERS, PEOPLE, World, held

CLIENT, CONTRACTOR, ARBITER, THIRD = PEOPLE[4:8]
NAME = b"\x07" * 32


def fund(world: World, **changed: Any) -> bytes:
    fields = {
        "deal": NAME,
        "contractor": CONTRACTOR.public_key,
        "arbiter": ARBITER.public_key,
        "credits": 300,
        "submit_within_ms": EPOCH_MS,
    }
    return world.tx(Fund, CLIENT, **{**fields, **changed})


def in_deal(world: World, kind: type[InDeal], who: Identity, **fields: Any) -> bytes:
    return world.tx(kind, who, client=CLIENT.public_key, deal=NAME, **fields)


def submit(world: World, credits_: int = 250) -> bytes:
    return in_deal(world, Submit, CONTRACTOR, credits=credits_, result_commitment=bytes(32))


def purses(world: World) -> tuple[int, int]:
    return world.account(CLIENT).credits, world.account(CONTRACTOR).credits


@pytest.fixture
def world() -> World:
    """One deal of 300 of the client's 1,000 credits is funded."""
    world = World()
    world.block(fund(world))
    assert purses(world) == (700, 1000)
    return world


def test_the_client_pays_what_was_asked_and_keeps_the_rest(world: World) -> None:
    world.block(submit(world))
    world.block(in_deal(world, Release, CLIENT))
    assert purses(world) == (750, 1250)
    deal = world.deal(CLIENT, NAME)
    assert deal is not None
    assert (deal.stage, deal.paid_credits) == (CLOSED, 250)
    assert held(world.state) == world.state.chain.issued_credits


def test_the_contractor_gives_everything_back(world: World) -> None:
    world.block(submit(world), in_deal(world, Refund, CONTRACTOR))
    assert purses(world) == (1000, 1000)


@pytest.mark.parametrize(("ruled", "purse"), [(0, (1000, 1000)), (100, (900, 1100)), (250, (750, 1250))])
def test_the_arbiter_splits_a_disputed_deal(world: World, ruled: int, purse: tuple[int, int]) -> None:
    world.block(submit(world), in_deal(world, Dispute, CLIENT))
    world.block(in_deal(world, Rule, ARBITER, contractor_credits=ruled))
    assert purses(world) == purse


def test_silence_of_the_contractor_refunds(world: World) -> None:
    expire = in_deal(world, Expire, THIRD)
    assert "is open until" in (world.why_not(expire, after_ms=EPOCH_MS) or "")
    world.block(expire, after_ms=EPOCH_MS + 1)
    assert purses(world) == (1000, 1000)


def test_silence_of_the_client_pays(world: World) -> None:
    world.block(submit(world))
    world.block(in_deal(world, Expire, CONTRACTOR), after_ms=EPOCH_MS + 1)
    assert purses(world) == (750, 1250)


def test_silence_of_the_arbiter_splits(world: World) -> None:
    world.block(submit(world, 251), in_deal(world, Dispute, CLIENT))
    world.block(in_deal(world, Expire, THIRD), after_ms=EPOCH_MS + 1)
    assert purses(world) == (875, 1125)


def test_what_is_late_is_refused(world: World) -> None:
    assert "only expire is left" in (world.why_not(submit(world), after_ms=EPOCH_MS + 1) or "")
    world.block(submit(world))
    dispute = in_deal(world, Dispute, CLIENT)
    assert "only expire is left" in (world.why_not(dispute, after_ms=EPOCH_MS + 1) or "")
    world.block(dispute)
    rule = in_deal(world, Rule, ARBITER, contractor_credits=1)
    assert "only expire is left" in (world.why_not(rule, after_ms=EPOCH_MS + 1) or "")


def test_each_step_is_its_partys_alone(world: World) -> None:
    assert "only the contractor" in (
        world.why_not(in_deal(world, Submit, CLIENT, credits=1, result_commitment=bytes(32))) or ""
    )
    assert "only the contractor" in (world.why_not(in_deal(world, Refund, CLIENT)) or "")
    world.block(submit(world))
    assert "only the client" in (world.why_not(in_deal(world, Release, CONTRACTOR)) or "")
    assert "only the client" in (world.why_not(in_deal(world, Dispute, CONTRACTOR)) or "")
    world.block(in_deal(world, Dispute, CLIENT))
    assert "only the arbiter" in (world.why_not(in_deal(world, Rule, CLIENT, contractor_credits=0)) or "")


def test_a_step_out_of_order_is_refused(world: World) -> None:
    assert "is funded" in (world.why_not(in_deal(world, Release, CLIENT)) or "")
    assert "is funded" in (world.why_not(in_deal(world, Dispute, CLIENT)) or "")
    world.block(submit(world), in_deal(world, Release, CLIENT))
    assert "is closed" in (world.why_not(in_deal(world, Refund, CONTRACTOR)) or "")
    assert "is closed" in (world.why_not(in_deal(world, Expire, THIRD), after_ms=EPOCH_MS * 9) or "")


def test_no_more_is_locked_or_asked_or_ruled_than_there_is(world: World) -> None:
    assert "more than the account's 700" in (world.why_not(fund(world, deal=bytes(32), credits=701)) or "")
    assert "more than the 300" in (world.why_not(submit(world, 301)) or "")
    world.block(submit(world), in_deal(world, Dispute, CLIENT))
    ruled = in_deal(world, Rule, ARBITER, contractor_credits=251)
    assert "more than the 250" in (world.why_not(ruled) or "")


def test_a_deal_has_three_parties_one_name_and_an_end(world: World) -> None:
    assert "already" in (world.why_not(fund(world)) or "")
    assert "three different" in (world.why_not(fund(world, deal=bytes(32), arbiter=CLIENT.public_key)) or "")
    assert "over the limit" in (world.why_not(fund(world, deal=bytes(32), submit_within_ms=10**11)) or "")
    assert "no deal named" in (world.why_not(world.tx(Release, CLIENT, client=CLIENT.public_key, deal=bytes(32))) or "")


def test_a_closed_deal_is_forgotten_in_the_end(world: World) -> None:
    world.block(submit(world), in_deal(world, Release, CLIENT))
    world.block(after_ms=world.machine.genesis.parameters.retention_ms + 1)
    assert [key for key, entry in world.state.trie.items() if isinstance(entry, Deal)] == []


def test_the_committee_grants_new_credits(world: World) -> None:
    before = world.state.chain.issued_credits
    world.block(world.motion(Grant, MEMBERS[:3], account=THIRD.public_key, credits=5))
    assert world.account(THIRD).credits == 1005
    assert world.state.chain.issued_credits == before + 5 == held(world.state)
