"""What both parties and the arbiter do about a deal, on the chain's own rules: it always ends, once, and rightly."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from node.ledger.chain.state import CLOSED, Deal
from node.outsource.settlement.deals import (
    Ending,
    Step,
    arbiter_for,
    deal_name,
    step_of_arbiter,
    step_of_client,
    step_of_contractor,
)
from node.outsource.settlement.steward import KINDS
from protocol.transactions import Fund
from tests.harness.chains import EPOCH_MS, MEMBERS, PEOPLE, World, held

CLIENT, CONTRACTOR = PEOPLE[4:6]
NAME = deal_name(b"a quote")
LOCKED, ASKED, RULED = 300, 250, 120
ENDINGS: tuple[Ending, ...] = ("open", "accepted", "rejected", "failed", "abandoned")
LOOKS = st.lists(st.sampled_from(["client", "contractor", "arbiter", "time"]), max_size=12)
FIELDS: dict[str, dict[str, Any]] = {
    "submit": {"credits": ASKED, "result_commitment": bytes(32)},
    "rule": {"contractor_credits": RULED},
}


def funded() -> World:
    """One deal of LOCKED credits, whose arbiter is the first member."""
    world = World()
    fund = world.tx(
        Fund,
        CLIENT,
        deal=NAME,
        contractor=CONTRACTOR.public_key,
        arbiter=MEMBERS[0].public_key,
        credits=LOCKED,
        submit_within_ms=EPOCH_MS,
    )
    world.block(fund)
    return world


def deal_of(world: World) -> Deal:
    deal = world.deal(CLIENT, NAME)
    assert deal is not None
    return deal


class Parties:
    """What is known to the three, and what each does when it looks."""

    def __init__(self, ending: Ending, *, delivered: bool, lets_go: bool, judges: bool) -> None:
        self.ending: Ending = ending
        self.delivered, self.lets_go, self.judges = delivered, lets_go, judges

    def step(self, who: str, world: World) -> Step | None:
        deal, now = deal_of(world), world.now
        if who == "client":
            return step_of_client(deal, self.ending, now, patience_ms=0)
        if who == "arbiter":
            return step_of_arbiter(deal, now, has_ruling=self.judges)
        return step_of_contractor(
            deal, now, is_delivered=self.delivered, is_under_way=not self.delivered, lets_go=self.lets_go
        )

    def look(self, who: str, world: World) -> bool:
        """Whether somebody did something, which the chain took."""
        step = self.step(who, world)
        if step is None:
            return False
        signer = {"client": CLIENT, "contractor": CONTRACTOR, "arbiter": MEMBERS[0]}[who]
        tx = world.tx(KINDS[step], signer, client=CLIENT.public_key, deal=NAME, **FIELDS.get(step, {}))
        assert world.why_not(tx) is None, (who, step, world.why_not(tx))
        world.block(tx)
        assert world.why_not(tx) is not None, "a replay is taken"
        return True


@given(
    looks=LOOKS,
    ending=st.sampled_from(ENDINGS),
    delivered=st.booleans(),
    lets_go=st.booleans(),
    judges=st.booleans(),
)
def test_every_deal_ends_once_and_pays_what_its_course_says(
    looks: list[str], ending: Ending, delivered: bool, lets_go: bool, judges: bool
) -> None:
    world = funded()
    issued = held(world.state)
    parties = Parties(ending, delivered=delivered, lets_go=lets_go, judges=judges)
    for who in looks:
        if who == "time":
            world.block(after_ms=EPOCH_MS // 2)
        else:
            parties.look(who, world)
    for _ in range(4):  # all three look on, and every deadline passes
        for who in ("client", "contractor", "arbiter"):
            parties.look(who, world)
        world.block(after_ms=EPOCH_MS + 1)
    deal = deal_of(world)
    assert deal.stage == CLOSED, "it is stuck"
    assert held(world.state) == issued
    assert world.account(CONTRACTOR).credits == 1_000 + deal.paid_credits
    assert world.account(CLIENT).credits == 1_000 - deal.paid_credits
    assert deal.paid_credits in {0, ASKED, ASKED // 2, RULED}
    if not delivered or lets_go:
        # Who asked before it let go may have been paid by a client that had accepted, or by time.
        assert deal.paid_credits == 0 or delivered
    elif ending == "accepted" and deal.asked_credits:
        assert deal.paid_credits == ASKED
    for who in ("client", "contractor", "arbiter"):
        assert parties.step(who, world) is None, "a closed deal is left alone"


def test_the_arbiter_is_a_member_that_is_no_party() -> None:
    world = World()
    keys = {arbiter_for(world.state, MEMBERS[0].public_key, CLIENT.public_key, bytes([n]) * 32) for n in range(64)}  # type: ignore[arg-type]
    assert keys == {one.public_key for one in MEMBERS[1:]}
