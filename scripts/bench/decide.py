"""How fast decisions are made: the default policy in batches, one choice alone, TOPSIS; in CPU time of this process.

    scripts/bench_decide [--json]

The world of the batches has 15 clients and 30 sellers, three verification levels, and beliefs that differ by seller:
once, and as 20 runs of it side by side, as many as stand behind each figure of the reproduction.
The plain loop does the same with Python floats, one seller and one level at a time, as one would write it first.
TOPSIS is compared with pymcdm where that is installed; it is no dependency.
"""

import argparse
import importlib
import importlib.util
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from node.decision.book import Book
from node.decision.config import DecisionConfig
from node.decision.inputs import NO_VERIFICATION, Candidate, InternalCost, LocalOption, TaskFacts, VerificationOption
from node.decision.policies import batch
from node.decision.policies.experience import start
from node.decision.policies.interface import LOCAL, CheckTerms, Experience, Menu
from node.decision.policies.pricing import closeness
from node.decision.policies.registry import POLICIES
from node.decision.policies.settings import PolicyConfig
from node.net.websocket import keep_heap

CLIENTS, SELLERS, RUNS = 15, 30, 20
AUTHORS_PER_CPU_S = 2_048
"""What the engine of the paper's authors reached in the same world, where a prototype of ours reached 87,000."""
LEAST_S = 0.5
"""Of CPU time behind each figure."""
ROUNDS = 20
"""The best of so many: other processes only ever make a run slower, and short rounds find a quiet moment."""
SETTINGS = PolicyConfig(stuck_after=0)


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of one call: see `cpu_times_s`."""
    return cpu_times_s(work)[0]


def cpu_times_s(*works: Callable[[], object]) -> list[float]:
    """CPU seconds of one call of each: the least mean over some rounds, in which they take turns."""
    counts = [_enough(work) for work in works]
    best = [math.inf] * len(works)
    for _ in range(ROUNDS):
        for at, (work, count) in enumerate(zip(works, counts, strict=True)):
            began = time.process_time()
            for _ in range(count):
                work()
            best[at] = min(best[at], (time.process_time() - began) / count)
    return best


def _enough(work: Callable[[], object]) -> int:
    """How many calls take a round's share of `LEAST_S`."""
    count = 1
    while True:
        began = time.process_time()
        for _ in range(count):
            work()
        if time.process_time() - began >= LEAST_S / ROUNDS:
            return count
        count *= 2


def world(rows: int) -> tuple[Menu, Experience]:
    """A market of the paper's size: (rows, SELLERS)."""
    random = np.random.default_rng(15)
    shape = (rows, SELLERS)
    local = random.uniform(20e6, 40e6, (rows, 1))
    menu = Menu(
        usable=random.random(shape) < 0.8,
        explorable=np.ones(shape, bool),
        price_micro=random.uniform(4e6, 45e6, shape),
        fixed_micro=random.uniform(0.5e6, 2e6, shape),
        prior=random.uniform(0.6, 0.9, shape),
        time_s=random.uniform(500, 6000, shape),
        p_breach=random.uniform(0, 0.02, shape),
        match=np.ones(shape),
        checks=(CheckTerms("none", 0.0, 0.0), CheckTerms("cheap", 0.9, 2.5e6), CheckTerms("full", 0.98, 3.8e6)),
        value_micro=random.uniform(50e6, 500e6, (rows, 1)),
        redo_micro=local,
        local_micro=local,
        limit_micro=local,
        deadline_s=7200.0,
    )
    jobs = random.integers(0, 30, shape).astype(float)
    good = np.floor(jobs * random.uniform(0.4, 1.0, shape))
    fresh = start(shape, SETTINGS)
    saved = random.uniform(0, 100e6, rows)
    return menu, fresh._replace(jobs=jobs, successes=good, failures=jobs - good, saved_micro=saved)


def plain_loop(tables: list[dict[str, Any]], checks: list[tuple[float, float]], settings: PolicyConfig) -> list[int]:
    """The default rule, one candidate and one level at a time; TOPSIS over the tie band as in the batch."""
    chosen = []
    raw = (settings.weight_cost, settings.weight_reliability, settings.weight_latency, settings.weight_security)
    weights = [weight / sum(raw) for weight in raw]
    for task in tables:
        value, local = task["value"], task["local"]
        costs = []
        for one in task["sellers"]:
            q, careful = plain_belief(one, settings)
            stake = one["price"] + value
            added, unseen, detection, check = math.inf, one["fixed"] + one["price"], 0.0, 0.0
            for some, cost in checks:
                doubted = some * (1 - careful) * (local - stake) + cost
                if doubted < added:
                    added, detection, check = doubted, some, cost
            safe = added + unseen + (1 - careful) * value <= local + settings.stake_share * task["saved"]
            total = detection * (1 - q) * (local - stake) + check + unseen + (1 - q) * value
            costs.append((total if one["usable"] and safe else math.inf, q))
        least = min(cost for cost, _ in costs)
        near = [at for at, (cost, _) in enumerate(costs) if cost <= least * (1 + settings.tie_share) and cost < local]
        if len(near) > 1:
            scores = {}
            for at in near:
                one, (cost, q) = task["sellers"][at], costs[at]
                placed = (1 - cost / (2 * local), q, 1 - one["time"] / 7200.0, 1 - one["breach"])
                places = [min(1.0, max(0.0, place)) for place in placed]
                ideal = math.sqrt(sum((w * (1 - p)) ** 2 for w, p in zip(weights, places, strict=True)))
                worst = math.sqrt(sum((w * p) ** 2 for w, p in zip(weights, places, strict=True)))
                scores[at] = worst / (ideal + worst)
            near.sort(key=lambda at: (-scores[at], costs[at][0]))
        chosen.append(near[0] if near else LOCAL)
    return chosen


def plain_belief(one: dict[str, Any], settings: PolicyConfig) -> tuple[float, float]:
    """What `two_kinds` believes of one seller, and what it does by the careful belief."""
    claim = min(settings.claim_most, max(0.02, one["prior"] / settings.prior_factor))
    others = [min(claim, max(0.01, settings.dishonest_success + apart)) for apart in (-0.15, 0.15)]
    odds = []
    for other in others:
        evidence = one["good"] * math.log(other / claim) + one["bad"] * math.log((1 - other) / (1 - claim))
        odds.append(math.exp(min(50.0, max(-50.0, evidence))))
    dishonest = sum(other * odd for other, odd in zip(others, odds, strict=True)) / sum(odds)
    found = []
    for share in (settings.dishonest_share, settings.doubted_share):
        honest = 1 / (1 + share / (1 - share) * sum(odds) / 2)
        mean = dishonest + honest * (claim - dishonest)
        found.append((settings.claim_jobs * mean + one["good"]) / (settings.claim_jobs + one["good"] + one["bad"]))
    return found[0], found[1]


def as_tables(menu: Menu, experience: Experience) -> list[dict[str, Any]]:
    """The same world as plain Python values."""
    return [
        {
            "value": float(np.asarray(menu.value_micro)[row, 0]),
            "local": float(np.asarray(menu.local_micro)[row, 0]),
            "saved": float(experience.saved_micro[row]),
            "sellers": [
                {
                    "usable": bool(menu.usable[row, column]),
                    "price": float(menu.price_micro[row, column]),
                    "fixed": float(menu.fixed_micro[row, column]),
                    "prior": float(menu.prior[row, column]),
                    "time": float(menu.time_s[row, column]),
                    "breach": float(menu.p_breach[row, column]),
                    "good": float(experience.successes[row, column]),
                    "bad": float(experience.failures[row, column]),
                }
                for column in range(SELLERS)
            ],
        }
        for row in range(menu.price_micro.shape[0])
    ]


def batches() -> dict[str, float]:
    """Decisions per CPU-second in batches, and by the plain loop."""
    found: dict[str, float] = {}
    rule = POLICIES["expected-cost"]
    menu, experience = world(CLIENTS)
    tables, checks = as_tables(menu, experience), [(0.0, 0.0), (0.9, 2.5e6), (0.98, 3.8e6)]
    together = batch.choose(rule, menu, experience, SETTINGS).pick.seller.tolist()
    if plain_loop(tables, checks, SETTINGS) != together:
        raise SystemExit("the plain loop and the batch do not choose alike: nothing is compared")
    many, seen = world(RUNS * CLIENTS)
    loop, few, more = cpu_times_s(
        lambda: plain_loop(tables, checks, SETTINGS),
        lambda: batch.choose(rule, menu, experience, SETTINGS),
        lambda: batch.choose(rule, many, seen, SETTINGS),
    )
    found["plain loop"] = CLIENTS / loop
    found[f"{CLIENTS} clients"] = CLIENTS / few
    found[f"{RUNS} runs x {CLIENTS}"] = RUNS * CLIENTS / more
    return found


def alone() -> dict[int, float]:
    """CPU seconds of one unbatched choice, by the number of sellers."""
    random = np.random.default_rng(3)
    options = [
        NO_VERIFICATION,
        VerificationOption(level="cheap", cost_micro=2.5e6, detection=0.9, time_s=1),
        VerificationOption(level="full", cost_micro=3.8e6, detection=0.98, time_s=2),
    ]
    local = LocalOption(feasible=True, time_s=100, p95_s=150, cost=InternalCost(compute_micro=28e6))
    facts = [
        TaskFacts(skill="risk", budget_micro=200_000_000, deadline_s=5400, value_micro=int(value), input_bytes=10**8)
        for value in random.uniform(50e6, 500e6, 16)
    ]
    found = {}
    for size in (SELLERS, 1_000, 100_000):
        book = Book([seller(random, at) for at in range(size)], options, DecisionConfig())
        tasks = facts if size < 10_000 else facts[:4]
        times = [cpu_s(partial(book.choose, task, local)) for task in tasks]
        found[size] = statistics.median(times)
    return found


def seller(random: np.random.Generator, at: int) -> Candidate:
    """One seller with a quote and a history."""
    duration_s, jobs = float(random.uniform(5, 60)), int(random.integers(0, 30))
    good = float(random.integers(0, jobs + 1))
    return Candidate(
        key=at.to_bytes(4, "big"),
        name=str(at),
        price_micro=int(random.uniform(4e6, 45e6)),
        duration_s=duration_s,
        p95_s=1.5 * duration_s,
        rtt_s=0.05,
        claimed_success=float(random.uniform(0.7, 1)),
        successes=good,
        failures=jobs - good,
        jobs=jobs,
    )


def topsis() -> dict[int, tuple[float, float | None]]:
    """CPU seconds of TOPSIS over so many candidates, ours and pymcdm's."""
    theirs: Callable[..., object] | None = None
    # By its name: it has no stubs, and whether it is installed should make no difference to what is checked here.
    if importlib.util.find_spec("pymcdm"):
        theirs = importlib.import_module("pymcdm.methods").TOPSIS()
    random, weights, types = np.random.default_rng(9), np.array([0.4, 0.25, 0.2, 0.15]), np.ones(4)
    found: dict[int, tuple[float, float | None]] = {}
    for size in (10, 1_000, 100_000):
        placed = random.uniform(0, 1, (size, 4))
        # Validation is switched off: it compares all pairs, and is no part of TOPSIS.
        other = cpu_s(partial(theirs, placed, weights, types, validation=False)) if theirs else None
        found[size] = cpu_s(partial(closeness, placed, weights)), other
    return found


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    keep_heap()  # as a daemon does: else half the time of a batch is page faults
    rates, times, scores = batches(), alone(), topsis()
    if as_json:
        json.dump({"decisions_per_cpu_s": rates, "choice_cpu_s": times, "topsis_cpu_s": scores}, sys.stdout)
        print()
        return
    print(f"decisions per CPU-second, {CLIENTS} clients x {SELLERS} sellers, 3 verification levels")
    for name, rate in rates.items():
        against = f"{rate / rates['plain loop']:8.1f}x the plain loop  {rate / AUTHORS_PER_CPU_S:7.1f}x the authors'"
        print(f"  {name:<14} {rate:>12,.0f}  {against}")
    print("one choice alone, explanation left for later")
    for size, spent in times.items():
        print(f"  {size:>7,} sellers {spent * 1e6:>12,.1f} us CPU")
    print("TOPSIS")
    for size, (ours, other) in scores.items():
        theirs = "pymcdm is not installed" if other is None else f"pymcdm {other * 1e6:,.1f} us, {other / ours:.1f}x"
        print(f"  {size:>7,} sellers {ours * 1e6:>12,.1f} us CPU  {theirs}")


if __name__ == "__main__":
    main()
