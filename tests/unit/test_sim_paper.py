"""The paper's experiments: its rows, and the rule that its authors' code runs."""

import numpy as np
import pytest

from coalesced.sim.market.metrics import summarise
from coalesced.sim.market.run import simulate
from coalesced.sim.paper import authors
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


def test_their_metric_and_what_it_hides_are_near_the_rerun_of_their_code() -> None:
    row = ROWS[2]
    summary = summarise(simulate(row.scenario, authors.rule(), 1, range(10)))
    assert summary.paper_metric.mean() == pytest.approx(row.rerun_metric, abs=9.0)
    assert summary.booked_reduction.mean() == pytest.approx(row.rerun_honest, abs=4.0)


def test_the_authors_rule_never_hires_by_rule_before_ten_decisions() -> None:
    log = simulate(ROWS[0].scenario, authors.rule(), 1, range(5))
    early = log.seller[:, :10] >= 0
    assert not (early & ~log.explored[:, :10]).any()
