"""TOPSIS (COALESCE Listing 1, phase 3) against scores computed by pymcdm, kept as data."""

import json
from pathlib import Path

import numpy as np
import pytest

from node.decision.policies.paper import topsis as by_min_max
from node.decision.policies.pricing import closeness as on_fixed_ranges
from node.decision.topsis import closeness as of_one

CASES = json.loads((Path(__file__).parent / "data" / "topsis.json").read_text())["cases"]


@pytest.mark.parametrize("case", [case for case in CASES if case["kind"] == "minmax"])
def test_scores_by_min_max_are_those_of_pymcdm(case: dict[str, list[float]]) -> None:
    table = np.array(case["table"])
    found = by_min_max(table, np.array(case["weights"]), np.ones(len(table), bool))
    assert found == pytest.approx(case["scores"], abs=1e-12)


@pytest.mark.parametrize("case", [case for case in CASES if case["kind"] == "fixed"])
def test_scores_on_fixed_ranges_are_those_of_pymcdm_with_the_ends_as_ideals(case: dict[str, list[float]]) -> None:
    table, weights = np.array(case["table"]), np.array(case["weights"])
    assert on_fixed_ranges(table, weights) == pytest.approx(case["scores"], abs=1e-12)
    assert [of_one(tuple(row), tuple(weights)) for row in table.tolist()] == pytest.approx(case["scores"], abs=1e-12)


def test_a_lone_seller_scores_one_half_by_min_max() -> None:
    assert by_min_max(np.array([[5.0, 0.9, 3.0, 0.1]]), np.full(4, 0.25), np.ones(1, bool)) == 0.5
