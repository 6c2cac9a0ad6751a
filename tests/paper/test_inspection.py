"""COALESCE eq. (16): how often to check, as an inspection game; against equilibria computed by nashpy."""

import json
from pathlib import Path

import pytest

from node.decision.audit import (
    audit_draw,
    audit_of,
    audit_option,
    audited,
    committed_cost,
    deterring_rate,
    simultaneous,
)
from node.decision.config import DecisionConfig
from node.decision.inputs import NO_VERIFICATION, Candidate, VerificationOption
from node.decision.verification import VerificationConfig, verification_options

CASES = json.loads((Path(__file__).parent / "data" / "inspection.json").read_text())["cases"]
FULL = VerificationOption(level="full", cost_micro=5, detection=0.9)


@pytest.mark.parametrize("case", CASES)
def test_eq_16_the_simultaneous_game_has_the_equilibrium_that_nashpy_finds(case: dict[str, float]) -> None:
    """COALESCE eq. (16): the print has the client minimise its own utility."""
    given = {name: case[name] for name in ("gain", "price", "detection", "check_cost", "damage", "redo", "stakes")}
    found = simultaneous(**given)
    assert found == pytest.approx((case["check_rate"], case["shirk_rate"], case["client_cost"]), abs=1e-12)


def test_eq_16_committing_to_a_rate_costs_less_than_the_simultaneous_game() -> None:
    """COALESCE eq. (16) replaced: $20.69 a task against $22.86."""
    assert committed_cost(15, 20, 0.9, 2.5, 40) == pytest.approx(20.69, abs=0.005)
    assert simultaneous(15, 20, 0.9, 2.5, 275, 28, 40).client_cost == pytest.approx(22.86, abs=0.005)
    assert [round(deterring_rate(15, 20, stakes, 0.9), 2) for stakes in (0, 40, 100)] == [0.83, 0.28, 0.14]


def test_strangers_are_checked_often_and_partners_rarely_but_never_less_than_published() -> None:
    config = DecisionConfig()
    rates = []
    for successes in (0, 2, 10, 50, 1000):
        seller = Candidate(
            key=b"s", name="s", price_micro=20, duration_s=1, p95_s=1, successes=successes, jobs=successes
        )
        audit = audit_of(seller, FULL, config)
        assert audit is not None
        rates.append(audit.rate)
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(0.75 / 0.9)
    assert rates[2] == pytest.approx(0.75 / (0.9 * (1 + 0.2 * 10)))
    assert rates[-1] == 0.05


def test_canaries_cost_their_share_of_the_price_and_save_audits() -> None:
    config = VerificationConfig(canaries={"risk": "items.jsonl"}, canary_share=0.09)
    unseen, *_ = verification_options("risk", (), work_micro=100, work_s=1, config=config)
    assert (unseen.level, unseen.price_share, unseen.detection) == ("none", 0.09, 0.0)
    assert verification_options("portfolio", (), work_micro=100, work_s=1, config=config) == (NO_VERIFICATION,)
    seller = Candidate(key=b"s", name="s", price_micro=20, duration_s=1, p95_s=1)
    without, with_ = (audit_of(seller, FULL, DecisionConfig(), share) for share in (0.0, 0.09))
    assert without is not None
    assert with_ is not None
    assert with_.rate == pytest.approx(without.rate - 0.09 / 0.9)
    assert audited(unseen, FULL, with_.rate).price_share == 0.09


def test_the_audit_takes_the_check_that_finds_most_for_its_cost_and_buys_nothing() -> None:
    cheap = VerificationOption(level="cheap", cost_micro=1, detection=0.5)
    redundant = VerificationOption(level="redundant", cost_micro=0, price_share=1.0, detection=0.9)
    assert audit_option((NO_VERIFICATION, cheap, FULL, redundant)) == cheap
    assert audit_option((NO_VERIFICATION, redundant)) is None
    assert audit_of(Candidate(key=b"s", name="s", price_micro=1, duration_s=1, p95_s=1), None, DecisionConfig()) is None


def test_the_draw_is_even_repeatable_and_unknown_without_the_key() -> None:
    draws = [audit_draw(b"key", str(quote).encode()) for quote in range(4000)]
    assert all(0 <= draw < 1 for draw in draws)
    assert sum(draw < 0.1 for draw in draws) / 4000 == pytest.approx(0.1, abs=0.02)
    assert draws[7] == audit_draw(b"key", b"7")
    assert draws[7] != audit_draw(b"other", b"7")


def test_a_check_that_finds_less_than_it_costs_has_no_equilibrium() -> None:
    with pytest.raises(ValueError, match="nobody would check"):
        simultaneous(gain=1, price=1, detection=0.5, check_cost=50, damage=1, redo=0, stakes=0)
