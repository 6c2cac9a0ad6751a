"""The paper's experiments: its rows, and the rule that its authors' code runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from coalesced.sim.market import authors
from coalesced.sim.market.jobs import Job, run_grouped
from coalesced.sim.market.metrics import summarise
from coalesced.sim.market.rules import rule
from coalesced.sim.market.run import simulate
from coalesced.sim.market.scenario import scenario
from coalesced.sim.paper import exposure, market_screens, robustness, theorem
from coalesced.sim.paper.reproduce import FOOT, NAMES, SECTIONS, page_of, sections_of
from coalesced.sim.paper.rows import ROWS


def test_there_are_17_rows_and_13_are_printed() -> None:
    assert len(ROWS) == 17
    printed = [row.printed_cost for row in ROWS if row.printed_cost is not None]
    assert len(printed) == 13
    assert np.mean(printed) == pytest.approx(41.9, abs=0.1)


def test_the_authors_rule_gives_their_outsourcing_rate_and_score() -> None:
    row = ROWS[2]
    summary = summarise(simulate(row.scenario, authors.rule(), 1, range(5)))
    assert summary.hired.mean() == pytest.approx(33.0, abs=2.0)
    assert summary.score.mean() == pytest.approx(0.80, abs=0.03)
    assert summary.explored.mean() == pytest.approx(10.0, abs=1.5)
    low, middle, high = summary.score_spread.T
    assert ((low < summary.score) & (summary.score < high) & (low < middle) & (middle < high)).all()


def test_their_metric_and_what_it_hides_are_near_the_rerun_of_their_code() -> None:
    row = ROWS[2]
    summary = summarise(simulate(row.scenario, authors.rule(), 1, range(10)))
    assert summary.paper_metric.mean() == pytest.approx(row.rerun_metric, abs=9.0)
    assert summary.booked_reduction.mean() == pytest.approx(row.rerun_honest, abs=4.0)


def test_the_authors_rule_never_hires_by_rule_before_ten_decisions() -> None:
    log = simulate(ROWS[0].scenario, authors.rule(), 1, range(5))
    early = log.seller[:, :10] >= 0
    assert not (early & ~log.explored[:, :10]).any()


def test_every_section_plans_what_it_writes_of() -> None:
    for section in SECTIONS:
        for key, jobs in section.plan(2).items():
            assert jobs, f"{section.name}: {key}"
            assert sum(job.stop - job.start for job in jobs) >= 2


def test_sections_are_written_from_their_results() -> None:
    for section in (exposure.SECTION,):
        plan = {key: [smaller(job) for job in jobs if job.start == 0][:1] for key, jobs in section.plan(2).items()}
        found = dict(zip(plan, run_grouped(list(plan.values()), workers=1), strict=True))
        page = section.write(found)
        assert page.startswith("## ")
        assert "nan" not in page


def smaller(job: Job) -> Job:
    return replace(job, scenario=structs.replace(job.scenario, tasks=20), stop=2)


def test_choices_that_ignore_the_past_have_a_second_eigenvalue_of_zero() -> None:
    chain = theorem.fixed_beliefs(np.array([0.5, 0.3, 0.2]))
    assert theorem.second_eigenvalue(chain) == pytest.approx(0.0, abs=1e-12)


def test_a_chain_that_alternates_has_one_of_one() -> None:
    found = theorem.transitions(np.array([0, 1] * 50), 2)
    assert theorem.second_eigenvalue(found) == pytest.approx(1.0)


def test_settling_is_when_the_last_seller_that_counts_was_first_hired() -> None:
    seller = np.array([-1, 3, 3, 1, 3, 1, 1, 3, 1])
    assert theorem.settling(seller) == 4
    assert theorem.settling(np.full(9, -1)) == 0


def test_cartels_are_found_and_honest_markets_are_left_alone() -> None:
    def rate(colluders: float) -> float:
        market = structs.replace(scenario("parity"), contractors=8, colluders=colluders, tasks=80)
        return market_screens.cartel_rate(simulate(market, rule("local"), 1, range(5), keep_quotes=True))

    assert rate(1.0) == pytest.approx(100.0)
    assert rate(0.0) <= 0.5


def test_a_ring_that_takes_turns_is_found_and_one_that_marks_up_is_not() -> None:
    def rates(**changes: object) -> tuple[float, float, float]:
        market = structs.replace(scenario("parity"), tasks=50, **changes)
        return market_screens.ring_rates(simulate(market, rule("local"), 1, range(8), keep_quotes=True))

    alarms, members, others = rates(colluders=0.3)
    assert alarms >= 90.0
    assert members >= 80.0
    assert others <= 5.0
    assert rates()[0] <= 15.0
    assert rates(colluders=0.3, ring="markup")[0] <= 15.0


def test_entrants_are_those_who_answer_late() -> None:
    market = structs.replace(market_screens.ENTRY, tasks=60)
    found, none = (
        market_screens.entrants_hired(simulate(market, rule(name), 1, range(3), keep_quotes=True))
        for name in ("oracle", "local")
    )
    assert found > none == 0.0


def test_one_section_of_the_page_is_made_again_and_the_others_stay() -> None:
    page = page_of({name: f"## {name}\n\nas it was" for name in (*NAMES, FOOT)})
    kept = sections_of(page)
    assert page_of(kept) == page
    assert page_of(kept | {"Regret": "## new"}).count("as it was") == len(NAMES)


def test_the_page_that_is_kept_has_every_section() -> None:
    page = Path(__file__).parents[2] / "docs" / "reproduction.md"
    assert list(sections_of(page.read_text(encoding="utf-8"))) == [*NAMES, FOOT]


def test_who_knows_the_kinds_loses_less_to_those_that_hide_best() -> None:
    market = structs.replace(scenario("baiters"), overbilling="unseen", tasks=300)
    informed, default = (summarise(simulate(market, rule(name), 1, range(12))) for name in ("informed", "beta"))
    assert informed.cost_reduction.mean() > default.cost_reduction.mean()


def test_the_default_pays_nothing_where_nobody_is_worth_it() -> None:
    market = structs.replace(scenario("parity"), local_scale=0.02)
    summary = summarise(simulate(market, rule("expected-cost"), 1, range(10)))
    assert summary.cost_reduction.mean() >= -0.3


def test_the_default_passes_the_gates_of_the_four_robustness_criteria() -> None:
    plan = robustness.plan(2)
    judged = robustness.gates(dict(zip(plan, run_grouped(list(plan.values()), workers=1), strict=True)))
    # The paper's threshold on skills empties its own market: that fifth line is a finding, and no gate can hold.
    assert [(gate.criterion, gate.measured) for gate in judged if not gate.holds] == [
        ("threshold resilience, theta", judged[-1].measured)
    ]
