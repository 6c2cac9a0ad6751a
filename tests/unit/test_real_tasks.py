"""The 240 tasks: their mix, the markets, what is folded from events, and the figures. Whole runs are in tests/e2e."""

import inspect
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from coalesced import config
from coalesced.paths import find_paths
from coalesced.testnet.dishonest import BAIT_JOBS, OWN_RUNS, CheatingExecutor
from coalesced.testnet.manifest import Conduct
from coalesced.testnet.real_tasks.__main__ import arguments
from coalesced.testnet.real_tasks.figures import figures, paired, predictions
from coalesced.testnet.real_tasks.outcome import Award, Outcome, judged
from coalesced.testnet.real_tasks.page import page
from coalesced.testnet.real_tasks.record import Played, Run, Seller, encode
from coalesced.testnet.real_tasks.regimes import BASELINE, REGIMES, Cast, Regime
from coalesced.testnet.settings import config_toml
from node.env import Env
from node.execute.config import ExecuteConfig
from node.execute.corpus import sentiment_case
from node.execute.job import Job
from node.execute.mix import COUNTS, FACTOR, mixed
from node.execute.processes import ProcessExecutor

HOUR_MICRO = 3_600_000_000
"""$3,600 an hour: a second of processor time costs a dollar."""


def outcome(number: int, by: str, **fields: object) -> Outcome:
    return msgspec.convert(
        {"number": number, "skill": "risk", "size": 1.0, "by": by, "state": "completed", "choice": "local", **fields},
        Outcome,
    )


def regime(name: str) -> Regime:
    return next(one for one in REGIMES if one.name == name)


# --- tasks


def test_the_mix_is_the_papers_and_equal_for_equal_seeds() -> None:
    tasks = mixed(1)
    assert Counter(task.label for task in tasks) == COUNTS
    assert tasks == mixed(1) != mixed(2)
    assert max(task.size for task in tasks) / min(task.size for task in tasks) <= FACTOR
    assert Counter(task.label for task in mixed(1, count=12)) == {
        "document-analysis": 4,
        "portfolio": 3,
        "risk": 3,
        "sentiment": 2,
    }


@pytest.mark.parametrize(("count", "scale"), [(0, 1.0), (13, 1.0), (12, 0.0), (12, float("nan"))])
def test_a_mix_that_cannot_be_made_is_refused(count: int, scale: float) -> None:
    with pytest.raises(ValueError, match="write"):
        mixed(1, count=count, scale=scale)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--tasks", "13", "a multiple of 12"),
        ("--scale", "-1", "a size above 0"),
        ("--regimes", "cheap", "parity, paper, dear"),
        ("--regimes", ",", "need one name at least"),
        ("--policies", "greedy", "expected-cost"),
        ("--cheats", "4", "from 0 to 3"),
        ("--json", "/nonexistent/run.json", "its directory is missing"),
    ],
)
def test_a_wrong_option_is_told_what_to_write(
    option: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        arguments([option, value])
    assert said in capsys.readouterr().err


# --- markets


def test_in_the_papers_market_a_middle_task_costs_what_the_paper_says(tmp_path: Path) -> None:
    paper = regime("paper")
    assert paper.local_micro_per_hour(0.1) / 3600 * 0.1 == pytest.approx(20, rel=1e-3)
    asked = [rate / 3600 * 0.1 * 1.02 for conduct, rate in paper.seller_rates(5, 0, 0.1) if conduct == "honest"]
    assert (asked[0], asked[-1]) == pytest.approx((800_000, 2_000_000), rel=1e-3)


def test_the_cast_has_every_conduct_one_buyer_a_policy_and_one_node_that_is_alone(tmp_path: Path) -> None:
    cast = Cast(honest=2, cheats=3, policies=("expected-cost", "paper"))
    manifest = cast.manifest(regime("parity"), 0.1, tmp_path, tuple(range(20_000, 20_000 + cast.size)), "abc")
    assert [node.conduct for node in manifest.nodes[:5]] == [
        "honest",
        "honest",
        "fabricator",
        "baiter",
        "corner-cutter",
    ]
    assert [node.policy for node in manifest.nodes[5:]] == ["expected-cost", "paper", ""]
    for node in manifest.nodes:
        home = tmp_path / node.name
        home.mkdir()
        (home / "config.toml").write_text(config_toml(node))
        loaded = config.load(config.Source(find_paths(home, environ={})))
        assert loaded.decision.policy == (node.policy or "expected-cost")
        assert loaded.caps.peer_micro == (node.caps_micro or 250_000)


# --- cheats


@pytest.mark.parametrize(
    ("conduct", "honest_runs"),
    [("fabricator", OWN_RUNS), ("corner-cutter", OWN_RUNS), ("baiter", OWN_RUNS + BAIT_JOBS)],
)
async def test_a_cheat_prices_as_if_it_worked_and_is_found_out_by_a_full_check(
    conduct: Conduct, honest_runs: int
) -> None:
    case = sentiment_case(1, texts=2, sentences=5)
    executor = CheatingExecutor(conduct, ExecuteConfig(max_workers=1), Env())
    try:
        runs = [
            await executor.run(Job(case.label, case.input, case.media_type, timeout_s=20.0))
            for _ in range(honest_runs + 1)
        ]
    finally:
        await executor.stop()
    good = [judged(case, run.output, run.media_type).accepted for run in runs]
    assert good == [True] * honest_runs + [False]
    assert runs[-1].wall_s == pytest.approx(runs[-2].wall_s)


def test_a_daemon_has_the_honest_executor_unless_told() -> None:
    from coalesced.app import run

    assert inspect.signature(run).parameters["make_executor"].default is ProcessExecutor


# --- figures


def test_the_saving_counts_prices_own_work_and_overhead_against_the_same_tasks_done_alone() -> None:
    outcomes = [
        outcome(1, BASELINE, booked_micro=1_000_000, cpu_s=1.0, wall_s=1.0),
        outcome(2, BASELINE, booked_micro=3_000_000, cpu_s=3.0, wall_s=3.0),
        outcome(3, BASELINE, booked_micro=9_000_000, cpu_s=9.0, wall_s=9.0),
        outcome(1, "paper", booked_micro=1_100_000, cpu_s=1.2, wall_s=2.0, good=True, score_ppm=1_000_000),
        outcome(
            2,
            "paper",
            cpu_s=0.3,
            wall_s=4.0,
            choice="outsource",
            booked_micro=500_000,
            price_micro=500_000,
            awards=[{"seller": "a", "conduct": "baiter"}, {"seller": "b", "conduct": "honest"}],
            fallbacks=["a: bad"],
        ),
    ]
    found = figures("paper", paired(outcomes, "paper", HOUR_MICRO))
    assert (found.tasks, found.completed, found.hired, found.failures) == (2, 2, 1, 0)
    # Overhead: .2 s more than the all-local node for the first, all that was used for the second.
    assert (found.paid_usd, found.booked_usd, found.overhead_usd) == pytest.approx((0.5, 1.6, 0.5))
    assert found.local_usd == pytest.approx(4.0)
    assert found.saved_by_books.percent == pytest.approx(100 * (1 - 1.6 / 4.0))
    assert found.saved.percent == pytest.approx(100 * (1 - 2.1 / 4.0))
    assert found.time_saved.percent == pytest.approx(-50.0)
    assert (found.good, found.bad_accepted, found.fallbacks) == (1, 1, 1)
    assert found.awards == {"baiter": 1, "honest": 1}


def test_processor_time_that_could_not_be_read_counts_as_no_overhead() -> None:
    outcomes = [outcome(1, BASELINE, booked_micro=1_000_000), outcome(1, "paper", booked_micro=1_000_000, cpu_s=1.0)]
    assert figures("paper", paired(outcomes, "paper", HOUR_MICRO)).overhead_usd == 0.0


def test_a_loss_of_many_times_the_all_local_cost_is_said_as_a_multiple() -> None:
    outcomes = [
        outcome(1, BASELINE, booked_micro=1_000_000, wall_s=1.0),
        outcome(1, "paper", wall_s=1.0, choice="outsource", price_micro=40_000_000, booked_micro=40_000_000),
    ]
    assert figures("paper", paired(outcomes, "paper", HOUR_MICRO)).saved.text() == "40 times the all-local figure"


def test_errors_of_prediction_count_from_the_21st_run_of_a_type() -> None:
    early = [outcome(n, BASELINE, predicted_s=9.0, booked_micro=1_000_000) for n in range(20)]
    late = [outcome(20 + n, BASELINE, predicted_s=1.1, booked_micro=1_000_000) for n in range(3)]
    (found,) = predictions([*early, *late])
    assert (found.skill, found.runs) == ("risk", 3)
    assert found.mean_relative_error == pytest.approx(0.1)


def test_an_interrupted_run_is_reported_as_a_part_and_its_json_reads_back() -> None:
    played = Played(
        regime="paper",
        text="",
        rate_micro_per_hour=HOUR_MICRO,
        sellers=(Seller(name="s1", conduct="honest", rate_micro_per_hour=1),),
        outcomes=[
            outcome(1, BASELINE, cpu_s=1.0, wall_s=1.0),
            outcome(1, "paper", cpu_s=1.0, wall_s=1.0, awards=(Award(seller="s", conduct="honest"),)),
        ],
    )
    run = Run(
        seed=1, scale=1.0, tasks=240, middle_task_s=0.1, date="2026-01-01", machine="m", load_before=0, markets=[played]
    )
    assert "interrupted" in page(run)
    written = encode(run)
    assert msgspec.json.decode(written)["schema"] == "coalesced.real-tasks/1"
    assert msgspec.json.decode(written, type=Run) == run
