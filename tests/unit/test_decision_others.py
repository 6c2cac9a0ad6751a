"""What others say and what settling takes, in the decision: both change its figures as stated, and are said."""

import math
from typing import Any

import numpy as np
import pytest

from node.decision.book import Book
from node.decision.config import DecisionConfig
from node.decision.decision import Decision, SellerRow
from node.decision.engine import decide
from node.decision.explain import explain
from node.decision.inputs import NO_VERIFICATION, Candidate, InternalCost, LocalOption, TaskFacts, VerificationOption
from node.decision.policies.settings import PolicyName
from node.decision.reliability import Reputation, Scoring
from node.ledger.reputation.standing import standing
from node.outsource.client.standings import reputation_of
from node.wording import duration, usd
from protocol.receipts import DAY_MS
from tests.harness.chains import PEOPLE, World

FACTS = TaskFacts(skill="risk", budget_micro=10**8, deadline_s=600, value_micro=50_000_000, time_value_micro_per_s=100)
HERE = LocalOption(feasible=True, time_s=60, p95_s=80, samples=9, cost=InternalCost(compute_micro=30_000_000))
OPTIONS = (NO_VERIFICATION, VerificationOption(level="full", cost_micro=500_000, detection=0.95, time_s=1))
GOOD = Reputation(level_1=0.9, level_1_low=0.8, level_1_jobs=40, level_2=0.95, level_2_jobs=30, raters=12)
BAD = Reputation(level_1=0.9, level_1_low=0.8, level_1_jobs=40, level_2=0.1, level_2_jobs=30, raters=12)
RULES: tuple[PolicyName, ...] = ("expected-cost", "market-maker", "graduated-epsilon", "portfolio")


def seller(**changed: Any) -> Candidate:
    given = {"key": b"a", "name": "aaaa", "price_micro": 9_000_000, "duration_s": 10.0, "p95_s": 15.0}
    return Candidate(**{**given, "claimed_success": 0.95, **changed})


def decided(policy: PolicyName = "expected-cost", **changed: Any) -> Decision:
    return decide(FACTS, HERE, [seller(**changed)], OPTIONS, DecisionConfig(policy=policy))


def row(**changed: Any) -> SellerRow:
    return decided(**changed).rows[0]


@pytest.mark.parametrize("policy", RULES)
def test_praise_and_blame_on_the_chain_enter_every_rules_belief(policy: PolicyName) -> None:
    unknown, praised, blamed = (decided(policy, reputation=one).rows[0].success for one in (None, GOOD, BAD))
    assert blamed < unknown < praised


def test_words_of_people_whom_nobody_here_knows_count_for_less() -> None:
    believed = row(reputation=Reputation(level_1=0.2, level_1_low=0.1, level_1_jobs=20, level_2=0.2, level_2_jobs=20))
    unanchored = row(reputation=Reputation(level_1=0.2, level_1_low=0.1, level_1_jobs=20))
    assert believed.success < unanchored.success < row().success


def test_the_bounds_that_rest_on_own_receipts_do_not_see_what_others_say() -> None:
    known = {"successes": 3.0, "failures": 1.0, "jobs": 4}
    assert row(**known).wilson_low == row(**known, reputation=BAD).wilson_low


def test_an_escrow_adds_its_fee_and_the_price_of_its_wait() -> None:
    free, charged, slow = row(), row(settlement_micro=2_000.0), row(settlement_s=5.0)
    assert charged.settlement_micro == 2_000.0
    assert charged.total_micro == pytest.approx(free.total_micro + 2_000.0)
    assert slow.time_s == pytest.approx(free.time_s + 5.0)
    assert slow.waiting_micro == pytest.approx(free.waiting_micro + 500.0)
    terms = (
        *(charged.payment_micro, charged.communication_micro, charged.settlement_micro, charged.integration_micro),
        *(charged.verification_micro, charged.waiting_micro, charged.lateness_micro),
        *(charged.undetected_micro, charged.redo_micro, charged.breach_micro),
    )
    assert sum(terms) == pytest.approx(charged.total_micro)


def test_orders_on_the_way_are_a_price_of_waiting_and_make_nobody_late() -> None:
    free, crowded = row(), row(orders_ahead=2, ahead_s=50.0)
    assert crowded.waiting_micro == pytest.approx(free.waiting_micro + 5_000.0)
    assert crowded.total_micro == pytest.approx(free.total_micro + 5_000.0)
    assert (crowded.time_s, crowded.p_late) == (free.time_s, free.p_late)
    assert row(orders_ahead=2, ahead_s=1e6).p_late == free.p_late
    said = " ".join(explain(decided(orders_ahead=2, ahead_s=50.0)).sentences)
    assert f"With 2 orders of this node's own on the way to aaaa, {duration(50.0)} more of waiting are counted." in said


def test_a_dear_escrow_turns_the_choice_to_another_seller_or_to_local() -> None:
    other = seller(key=b"b", name="bbbb", price_micro=9_100_000)
    known = {"successes": 30.0, "jobs": 30}
    cheap = seller(**known)
    dear = seller(**known, settlement_micro=400_000.0)
    config = DecisionConfig(tie_share=0.0)
    other = seller(key=b"b", name="bbbb", price_micro=9_100_000, **known)
    assert decide(FACTS, HERE, [cheap, other], OPTIONS, config).contractor == b"a"
    assert decide(FACTS, HERE, [dear, other], OPTIONS, config).contractor == b"b"
    ruinous = seller(**known, settlement_micro=40_000_000.0)
    assert decide(FACTS, HERE, [ruinous], OPTIONS, config).choice == "local"


@pytest.mark.parametrize("seed", range(20))
def test_the_lean_choice_knows_both_as_the_explaining_one_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    sellers = [
        seller(
            key=bytes([at]),
            name=str(at),
            price_micro=int(random.uniform(8e6, 10e6)),
            settlement_micro=float(random.choice([0.0, 300_000.0, 2_000_000.0])),
            settlement_s=float(random.choice([0.0, 3.0])),
            ahead_s=float(random.choice([0.0, 3_000.0])),
            reputation=[None, GOOD, BAD][int(random.integers(3))],
            successes=20.0,
            jobs=20,
        )
        for at in range(12)
    ]
    config = DecisionConfig()
    quick, whole = Book(sellers, OPTIONS, config).choose(FACTS, HERE), decide(FACTS, HERE, sellers, OPTIONS, config)
    assert (quick.contractor, quick.level) == (whole.contractor, whole.level)


def test_both_are_said_in_words() -> None:
    said = " ".join(explain(decided(reputation=GOOD, settlement_micro=2_000.0, settlement_s=0.5)).sentences)
    assert "Own experience with aaaa: none." in said
    assert "Others say 0.90 (at least 0.80) by 12 clients and 40.0 jobs; 0.95 by those whom this node believes" in said
    assert "counts as 8.8 good and 0.2 bad jobs of its own" in said
    assert f"An escrow with aaaa costs {usd(2_000.0)} in fees and holds its work up for {duration(0.5)}." in said
    quiet = " ".join(explain(decided()).sentences)
    assert "Others say" not in quiet
    assert "escrow" not in quiet


def rated_seller(idle_days: int) -> tuple[Reputation, Reputation]:
    """What the chain says of a seller that idled after fifteen good jobs (.941), and of a newcomer."""
    world = World()
    for number in range(15):
        world.rated(PEOPLE[4 + number % 2], PEOPLE[6], number)
    day = world.now // DAY_MS + idle_days
    idle, newcomer = (standing(world.state, PEOPLE[at].public_key, day) for at in (6, 7))
    assert idle is not None
    assert newcomer is not None
    return reputation_of(idle, None), reputation_of(newcomer, None)


@pytest.mark.parametrize(("idle_days", "printed_hires"), [(0, b"i"), (195, b"n")])
def test_only_the_printed_form_takes_a_good_seller_that_idled_for_half_a_year_below_a_newcomer(
    idle_days: int, printed_hires: bytes
) -> None:
    idle, newcomer = rated_seller(idle_days)
    assert idle.printed == pytest.approx(16 / 17 * math.exp(-0.1 * idle_days / 30.436875), abs=1e-6)
    sellers = [seller(key=b"i", name="iiii", reputation=idle), seller(key=b"n", name="nnnn", reputation=newcomer)]
    scorings: tuple[tuple[Scoring, bytes], ...] = (("two-levels", b"i"), ("paper", printed_hires))
    for scoring, hired in scorings:
        config = DecisionConfig(reputation=scoring)
        decision = decide(FACTS, HERE, sellers, OPTIONS, config)
        assert (decision.contractor, Book(sellers, OPTIONS, config).choose(FACTS, HERE).contractor) == (hired, hired)
        success = {one.contractor: one.success for one in decision.rows}
        assert (success[b"i"] > success[b"n"]) == (hired == b"i")
        said = " ".join(explain(decision).sentences)
        assert (f'{idle.printed:.2f} by eq. (14) as printed (reputation = "paper"), 15.0 jobs' in said) == (
            scoring == "paper"
        )
