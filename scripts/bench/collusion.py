"""How much of honest clients' work colluders win, by what reputation is computed how.

    scripts/collusion [--seeds 5] [--agents 100] [--rounds 60] [--only both,ring] [--json]

A world of agents that hire one another, a week a round. An honest client asks ten agents and hires the one with the
best score (2 % of the time any); an honest contractor does good work in 75 to 98 % of its jobs, a colluder in 30 %.
Colluders
    ring        rate one another well, two invented jobs each a round
    slander     hire an honest contractor each round and say that it failed
    both        do both
    whitewash   do both, and begin anew under another name as soon as level 1 puts them below a newcomer
    camouflage  rate one another well, and one honest contractor a round truthfully, to be believed
The committee has seven members, of which none, one or two collude (and five, to show where it breaks). What is printed
is the colluders' share of the jobs that honest clients gave in the second half, the mean over seeds with its 95 %
bootstrap interval. Ratings go through the chain's own level 1 (node/ledger/reputation/l1), scores through level 2.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from numpy.typing import NDArray

from node.ledger.reputation import l1, l2
from scripts.bench.report import heading, table

Floats = NDArray[np.float64]

MEMBERS = 7
CAP_JOBS = 8
DAYS_PER_ROUND = 7
CANDIDATES = 10
EXPLORED = 0.02
COLLUDER_RATE = 0.3
FAKE_RATINGS = 2
EPOCH_ROUNDS = 10
"""How often a node works out level 2 anew."""
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)
MONTHS_PER_DAY = 1 / 30.436875


@dataclass(frozen=True, slots=True)
class Case:
    """What colluders do, and how many of the committee's members are theirs."""

    attack: str
    bad_members: int

    def __str__(self) -> str:
        return f"{self.attack}, {self.bad_members} of {MEMBERS} members bad"


CASES = (
    *(Case("both", bad) for bad in (0, 1, 2, 5)),
    *(Case(attack, bad) for attack in ("ring", "slander", "whitewash") for bad in (0, 1, 2)),
    *(Case("camouflage", bad) for bad in (0, 2)),
)


class World:
    """Who is who, and all that was said so far."""

    def __init__(self, agents: int, share: float, case: Case, seed: int) -> None:
        self.agents = agents
        self.case = case
        self.rng = np.random.default_rng(seed)
        self.day = 0
        self.colluders = np.arange(round(share * agents))
        self.honest = np.arange(len(self.colluders), agents)
        bad = min(case.bad_members, len(self.colluders))
        self.members = [*range(bad), *(int(one) for one in self.honest[: MEMBERS - bad])]
        self.rates = self.rng.uniform(0.75, 0.98, agents)
        self.rates[self.colluders] = COLLUDER_RATE
        self.pairs: dict[tuple[int, int], l1.Counts] = {}
        self.good, self.bad = np.zeros((agents, agents)), np.zeros((agents, agents))
        self.counted_on = np.zeros((agents, agents))
        self.successes, self.failures, self.last_job = np.zeros(agents), np.zeros(agents), np.zeros(agents)

    def rate(self, rater: int, contractor: int, *, good: bool) -> None:
        """One rating, by the chain's own arithmetic."""
        before = self.pairs.get((rater, contractor), l1.Counts(self.day, 0, 0))
        after = l1.rated(before, "ok" if good else "fail", self.day, CAP_JOBS)
        self.pairs[rater, contractor] = after
        at = rater, contractor
        self.good[at], self.bad[at] = after.successes / l1.ONE, after.failures / l1.ONE
        self.counted_on[at] = self.day
        self.successes[contractor] += good
        self.failures[contractor] += not good
        self.last_job[contractor] = self.day

    def decayed(self) -> tuple[Floats, Floats]:
        """Successes and failures (raters, contractors) as they count today."""
        keep = np.exp(-0.1 * MONTHS_PER_DAY * (self.day - self.counted_on))
        return self.good * keep, self.bad * keep

    def level_1(self) -> Floats:
        """Expected success rates by what all say."""
        return self.level_1_jobs()[0]

    def level_1_jobs(self) -> tuple[Floats, Floats]:
        """The same, and how many jobs are behind each."""
        good, bad = (counts.sum(axis=0) for counts in self.decayed())
        return (1.0 + good) / (2.0 + good + bad), good + bad

    def begin_anew(self, agent: int) -> None:
        """Another name for a colluder: nothing is known of it."""
        for counts in (self.good, self.bad):
            counts[agent, :] = counts[:, agent] = 0.0
        self.pairs = {pair: counts for pair, counts in self.pairs.items() if agent not in pair}
        self.successes[agent] = self.failures[agent] = 0.0
        self.last_job[agent] = self.day


Scores = Callable[[World], Floats]
"""Scores (agents,) for all, or (agents, agents) with a row for each client."""


def printed(world: World) -> Floats:
    """COALESCE eq. (14) as printed: no cap, and the score itself decays."""
    mean = (1.0 + world.successes) / (2.0 + world.successes + world.failures)
    score: Floats = mean * np.exp(-0.1 * MONTHS_PER_DAY * (world.day - world.last_job))
    return score


def eigentrust(world: World) -> Floats:
    """Kamvar et al. 2003: the members are the pre-trusted, .15 of the weight."""
    good, bad = world.decayed()
    local = np.maximum(good - bad, 0.0)
    total = local.sum(axis=1, keepdims=True)
    prior = np.zeros(world.agents)
    prior[world.members] = 1.0 / MEMBERS
    local = np.where(total > 0.0, local / np.maximum(total, 1e-12), prior)
    trust = prior
    for _ in range(30):
        trust = 0.85 * local.T @ trust + 0.15 * prior
    return trust


Rule = Literal["level 2", "lower mean", "lower bound", "level 2's bound"]


@dataclass(slots=True)
class Anchored:
    """Level 2 of every honest client, worked out once an epoch; alone, or together with level 1 by a rule."""

    rule: Rule
    left: int = 0
    scores: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    bounds: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    fell_back: list[float] = field(default_factory=list)

    def __call__(self, world: World) -> Floats:
        level_1, jobs = world.level_1_jobs()
        if self.left == 0:
            self.left = EPOCH_ROUNDS
            self._look(world, level_1, bound(level_1, jobs))
        self.left -= 1
        match self.rule:
            case "level 2":
                return self.scores
            case "lower mean":
                return np.minimum(self.scores, level_1)
            case "lower bound":
                return np.minimum(self.bounds, bound(level_1, jobs))
            case "level 2's bound":
                return self.bounds

    def _look(self, world: World, level_1: Floats, level_1_bound: Floats) -> None:
        ratings = ratings_of(*world.decayed())
        views = [l2.view_of(ratings, member) for member in world.members]
        self.scores = np.tile(level_1, (world.agents, 1))
        self.bounds = np.tile(level_1_bound, (world.agents, 1))
        for client in world.honest:
            own = l2.view_of(ratings, int(client))
            weights = [l2.SELF_WEIGHT] + [l2.MEMBER_WEIGHT] * MEMBERS
            trust = l2.combine([own, *views], weights, level_1)
            self.scores[client] = trust.scores
            self.bounds[client] = np.where(trust.fell_back, level_1_bound, bound(trust.scores, trust.jobs))
            self.fell_back.append(float(trust.fell_back.mean()))


def bound(mean: Floats, jobs: Floats) -> Floats:
    """About the 5 % lower bound of a Beta of this mean after so many jobs."""
    low: Floats = mean - 1.645 * np.sqrt(mean * (1.0 - mean) / (jobs + 3.0))
    return low


METHODS: dict[str, Callable[[], Scores]] = {
    "eq. 14 as printed": lambda: printed,
    "Beta (level 1)": lambda: World.level_1,
    "EigenTrust": lambda: eigentrust,
    "anchored (level 2)": lambda: Anchored("level 2"),
    "lower of both means": lambda: Anchored("lower mean"),
    "lower of both bounds": lambda: Anchored("lower bound"),
    "level 2's bound": lambda: Anchored("level 2's bound"),
}


def ratings_of(good: Floats, bad: Floats) -> l2.Ratings:
    """The pairs that exist."""
    raters, contractors = np.nonzero(good + bad)
    return l2.Ratings(len(good), raters, contractors, good[raters, contractors], bad[raters, contractors])


def won(scores: Scores, world: World, rounds: int) -> float:
    """The colluders' share of honest clients' jobs in the second half."""
    if not len(world.colluders):
        return 0.0
    jobs = lost = 0
    for at in range(rounds):
        world.day = at * DAYS_PER_ROUND
        known = np.broadcast_to(scores(world), (world.agents, world.agents))
        for client in map(int, world.honest):
            asked = world.rng.choice(world.agents - 1, CANDIDATES, replace=False)
            asked += asked >= client
            explores = world.rng.random() < EXPLORED
            best = known[client, asked] + 1e-9 * world.rng.random(CANDIDATES)
            hired = int(asked[0] if explores else asked[np.argmax(best)])
            world.rate(client, hired, good=bool(world.rng.random() < world.rates[hired]))
            if at >= rounds // 2:
                jobs += 1
                lost += hired < len(world.colluders)
        collude(world)
    return lost / jobs


def collude(world: World) -> None:
    """A round of what the colluders do besides working."""
    attack, rng, count = world.case.attack, world.rng, len(world.colluders)
    newcomer = 0.5
    level_1 = world.level_1()
    for agent in map(int, world.colluders):
        if attack != "slander" and count > 1:
            for _ in range(FAKE_RATINGS):
                other = int(rng.integers(count - 1))
                world.rate(agent, other + (other >= agent), good=True)
        if attack == "camouflage":
            hired = int(rng.choice(world.honest))
            world.rate(agent, hired, good=bool(rng.random() < world.rates[hired]))
        elif attack != "ring":
            world.rate(agent, int(rng.choice(world.honest)), good=False)
        if attack == "whitewash" and agent not in world.members and level_1[agent] < newcomer:
            world.begin_anew(agent)


def interval(values: list[float]) -> tuple[float, float, float]:
    """The mean and its 95 % bootstrap interval (2,000 draws)."""
    rng = np.random.default_rng(0)
    means = rng.choice(np.array(values), (2000, len(values))).mean(axis=1)
    return statistics.fmean(values), float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def rows(case: Case, seeds: int, agents: int, rounds: int) -> Iterator[dict[str, object]]:
    """One for each method and share of colluders."""
    for method, make in METHODS.items():
        for share in SHARES:
            found = [won(make(), World(agents, share, case, seed), rounds) for seed in range(seeds)]
            mean, low, high = interval(found)
            yield {"case": str(case), "method": method, "share": share, "mean": mean, "low": low, "high": high}


def timings() -> Iterator[list[str]]:
    """CPU time of one node's level 2 (eight anchors), dense and sparse."""
    for agents, partners in ((200, 199), (200, 50), (1000, 999), (1000, 50)):
        rng = np.random.default_rng(agents)
        picked = rng.random((agents, agents)) < partners / (agents - 1)
        np.fill_diagonal(picked, val=False)
        good, bad = picked * rng.uniform(0, 6, picked.shape), picked * rng.uniform(0, 2, picked.shape)
        ratings = ratings_of(good, bad)
        level_1 = (1.0 + good.sum(axis=0)) / (2.0 + (good + bad).sum(axis=0))
        taken = []
        for _ in range(3):
            begun = time.process_time()
            views = [l2.view_of(ratings, anchor) for anchor in range(MEMBERS + 1)]
            l2.combine(views, [l2.SELF_WEIGHT] + [l2.MEMBER_WEIGHT] * MEMBERS, level_1)
            taken.append(time.process_time() - begun)
        yield [f"{agents:,}", f"{partners}", f"{len(ratings.raters):,}", f"{1000 * min(taken):.0f} ms"]


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="what colluders win, by how reputation is computed")
    parser.add_argument("--seeds", type=int, default=5, help="worlds for each number")
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=60, help="weeks")
    parser.add_argument("--only", default="", help="attacks, separated by commas")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of tables")
    given = parser.parse_args()
    wanted = set(given.only.split(",")) if given.only else {case.attack for case in CASES}
    cases = [case for case in CASES if case.attack in wanted]
    if not cases:
        parser.error(f"--only {given.only}: the attacks are {', '.join(sorted({case.attack for case in CASES}))}")
    if given.agents < 30 or given.rounds < 2 or given.seeds < 1:
        parser.error("it takes 30 agents, 2 rounds and 1 seed at least")
    if not given.json:
        print(heading(f"scripts/collusion --seeds {given.seeds} --agents {given.agents} --rounds {given.rounds}"))
    for case in cases:
        found = list(rows(case, given.seeds, given.agents, given.rounds))
        if given.json:
            for row in found:
                print(json.dumps(row), flush=True)
            continue
        lines = [
            [
                method,
                *(
                    f"{row['mean']:.3f} ({row['low']:.3f}-{row['high']:.3f})"
                    for row in found
                    if row["method"] == method
                ),
            ]
            for method in METHODS
        ]
        print(f"\n{case}\n")
        print(table([str(case.attack), *(f"{share:.0%}" for share in SHARES)], lines), flush=True)
    if not given.json:
        print()
        print(table(["agents", "partners each", "pairs", "level 2 of one node"], timings()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
