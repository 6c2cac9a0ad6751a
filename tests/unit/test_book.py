"""The lean choice among many sellers, against the explaining one, in markets of the paper's size."""

from typing import Any

import msgspec
import numpy as np
import pytest

from node.decision.book import Book
from node.decision.config import DecisionConfig
from node.decision.engine import decide
from node.decision.inputs import NO_VERIFICATION, Candidate, InternalCost, LocalOption, TaskFacts, VerificationOption

OPTIONS = (
    NO_VERIFICATION,
    VerificationOption(level="cheap", cost_micro=2_500_000, detection=0.9, time_s=1),
    VerificationOption(level="full", cost_micro=3_800_000, detection=0.98, time_s=2),
    VerificationOption(level="redundant", price_share=1.0, detection=0.9),
)


def sellers(random: np.random.Generator, size: int, **same: Any) -> list[Candidate]:
    found = []
    for at in range(size):
        duration_s, jobs = float(random.uniform(5, 60)), int(random.integers(0, 30))
        good = float(random.integers(0, jobs + 1))
        given: dict[str, Any] = {
            "price_micro": int(random.uniform(4e6, 45e6)),
            "duration_s": duration_s,
            "p95_s": duration_s * float(random.uniform(1, 3)),
            "rtt_s": float(random.uniform(0, 0.3)),
            "claimed_success": float(random.uniform(0.7, 1)),
            "successes": good,
            "failures": jobs - good,
            "jobs": jobs,
            "audit_draw": float(random.random()),
            "regions": (str(random.choice(["eu", "us"])),),
            "exposure_left_micro": int(random.uniform(5e6, 90e6)) if random.random() < 0.2 else None,
            "skill_match": float(random.choice([0.5, 1.0])),
        }
        found.append(Candidate(key=at.to_bytes(4, "big"), name=str(at), **(given | same)))
    return found


@pytest.mark.parametrize("seed", range(12))
def test_among_thirty_sellers_both_paths_choose_alike_whatever_the_task(seed: int) -> None:
    random = np.random.default_rng(seed)
    config = DecisionConfig(risk_weight=0.3 if seed % 4 == 3 else 0.0)
    book = Book(candidates := sellers(random, 30), OPTIONS, config)
    choices = set()
    for _ in range(20):
        facts = TaskFacts(
            skill="risk",
            budget_micro=int(random.choice([10e6, 40e6, 200e6])),
            deadline_s=float(random.choice([40, 150, 5400])),
            value_micro=int(random.uniform(20e6, 500e6)),
            input_bytes=int(random.choice([0, 10**6, 10**8])),
            privacy=str(random.choice(["public", "internal", "confidential"])),  # type: ignore[arg-type]
            regions=() if random.random() < 0.7 else ("eu",),
            least_level=str(random.choice(["none", "none", "cheap"])),  # type: ignore[arg-type]
            spend_left_micro=None if random.random() < 0.7 else 30_000_000,
        )
        local = LocalOption(
            feasible=bool(random.random() < 0.9),
            time_s=100,
            p95_s=150,
            cost=InternalCost(compute_micro=float(random.uniform(5e6, 40e6))),
        )
        quick, full = book.choose(facts, local), decide(facts, local, candidates, OPTIONS, config)
        assert (quick.contractor, quick.level) == (full.contractor, full.level)
        choices.add(quick.contractor)
    assert len(choices) > 1


def test_more_sellers_than_a_chunk_and_sellers_that_are_all_alike_are_settled_as_by_the_explaining_path() -> None:
    random = np.random.default_rng(1)
    many = sellers(random, 5000, skill_match=1.0, regions=(), exposure_left_micro=None)
    facts = TaskFacts(skill="risk", budget_micro=200_000_000, deadline_s=5400, value_micro=275_000_000)
    local = LocalOption(feasible=True, time_s=100, p95_s=150, cost=InternalCost(compute_micro=28e6))
    quick = Book(many, OPTIONS, DecisionConfig()).choose(facts, local)
    full = decide(facts, local, many, OPTIONS)
    assert (quick.contractor, quick.level) == (full.contractor, full.level)
    one = Candidate(key=b"?", name="?", price_micro=9_000_000, duration_s=9, p95_s=18)
    alike = [msgspec.structs.replace(one, key=bytes([at])) for at in range(9, 0, -1)]
    assert Book(alike, OPTIONS, DecisionConfig()).choose(facts, local).contractor == b"\x01"


def test_a_book_of_nobody_leaves_the_work_here() -> None:
    facts = TaskFacts(skill="risk", budget_micro=1, deadline_s=60)
    quick = Book((), OPTIONS, DecisionConfig()).choose(facts, LocalOption(feasible=True, time_s=1, p95_s=1))
    assert (quick.contractor, quick.level) == (None, "none")
    assert quick.explain().choice == "local"
