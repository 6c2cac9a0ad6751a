"""Decisions under changed circumstances, and the mistakes that can be made in asking for them."""

import msgspec
import pytest

from node.decision.config import DecisionConfig
from node.decision.engine import replay
from node.decision.inputs import NO_VERIFICATION, Candidate, Inputs, InternalCost, LocalOption, TaskFacts
from node.decision.internal_cost import MachineRates
from node.decision.whatif import NAMES, changed
from node.errors import UsageError

RATES = MachineRates(hourly_rate_usd=0.5, energy_usd_per_kwh=0.2)


def seller(name: str, price_micro: int) -> Candidate:
    return Candidate(
        key=name.encode(), name=name, price_micro=price_micro, duration_s=2, p95_s=3, rtt_s=0.1, successes=40, jobs=40,
        bandwidth_bytes_per_s=1e6,
    )  # fmt: skip


INPUTS = Inputs(
    facts=TaskFacts(
        skill="risk", budget_micro=50_000, deadline_s=600, value_micro=100_000, input_bytes=1000, privacy="public"
    ),
    local=LocalOption(
        feasible=True, time_s=10, p95_s=20, cost=InternalCost(compute_micro=8_000, energy_micro=1_000), samples=5
    ),
    candidates=(seller("anna", 3_000), seller("bert", 4_000)),
    options=(NO_VERIFICATION,),
    config=DecisionConfig(),
)


def under(*what_if: str) -> Inputs:
    return changed(INPUTS, what_if, RATES)


def test_a_price_can_be_set_moved_by_a_share_and_set_for_one_seller() -> None:
    assert [one.price_micro for one in under("price=0.02").candidates] == [20_000, 20_000]
    assert [one.price_micro for one in under("price=$0.02").candidates] == [20_000, 20_000]
    assert [one.price_micro for one in under("price=-50%").candidates] == [1_500, 2_000]
    assert [one.price_micro for one in under("price@bert=0.001").candidates] == [3_000, 1_000]
    assert replay(under("price@bert=0.001")).contractor == b"bert"
    assert replay(under("price=0.05")).choice == "local"


def test_changes_apply_one_after_the_other() -> None:
    assert under("rtt=200ms", "rtt=+50%").candidates[0].rtt_s == pytest.approx(0.3)


def test_local_costs_follow_the_owners_rates_and_the_time() -> None:
    assert under("hourly-rate=1.0").local.cost.compute_micro == pytest.approx(16_000)
    assert under("energy-price=-50%").local.cost.energy_micro == pytest.approx(500)
    slower = under("local-time=20s").local
    assert (slower.time_s, slower.p95_s, slower.cost.compute_micro) == (20, 40, 16_000)
    assert under("opportunity=0.01").local.cost.opportunity_micro == pytest.approx(10_000)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_changes_something_or_says_why_it_cannot(name: str) -> None:
    values = {"money": "0.02", "duration": "3s", "share": "0.5", "size": "3MB", "count": "2"}
    after = under(f"{name}={values[NAMES[name].unit]}")
    assert msgspec.json.encode(after) != msgspec.json.encode(INPUTS)
    assert replay(after).inputs == after
    assert NAMES[name].text


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("price=5s", r"'5s' is not one; it is dollars: write 0\.02, \$0\.02 or -20%"),
        ("price=-3", "it is negative; it is dollars"),
        ("price=-130%", "less than nothing is left of it"),
        ("rtt=5$", "it is a duration: write 250ms"),
        ("prise=3", "with a name like price"),
        ("price", "write name=value"),
        ("price@carl=1", "no seller is called 'carl'; there are: anna, bert"),
        ("deadline@anna=3s", "deadline is not a seller's: leave out @anna"),
        ("claimed-success=1.5", "claimed_success is 1.5: write a finite number from 0 to 1"),
        ("claimed-success=nan", "'nan' is not one"),
        ("value=1e400", "it is too large: write at most"),
        ("price=1e300", "it is too large: write at most"),
        ("budget=+" + 400 * "9" + "%", "it is too large: write at most"),
    ],
)
def test_a_mistake_is_answered_with_what_to_write(text: str, error: str) -> None:
    with pytest.raises(UsageError, match=error):
        under(text)


def test_a_share_of_something_that_is_not_set_is_refused() -> None:
    bare = msgspec.structs.replace(INPUTS, facts=msgspec.structs.replace(INPUTS.facts, value_micro=None))
    with pytest.raises(UsageError, match="value is not set, so it cannot change by a share"):
        changed(bare, ["value=+10%"], RATES)
    free = MachineRates(hourly_rate_usd=0.0)
    with pytest.raises(UsageError, match="set it in"):
        changed(INPUTS, ["hourly-rate=1"], free)
    unable = msgspec.structs.replace(INPUTS, local=LocalOption(feasible=False, why_not="no GPU"))
    with pytest.raises(UsageError, match="cannot do the task at all: no GPU"):
        changed(unable, ["local-time=1s"], RATES)
