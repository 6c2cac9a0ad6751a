"""Theorem 1: does the decision process converge within O(log n) steps? The chain is built and its eigenvalues computed.

The paper takes the choices, LOCAL or one of n contractors, for a Markov chain (eq. 17).
"""

from collections.abc import Mapping

import numpy as np

from coalesced.sim.market.parameters import Floats, Ints
from coalesced.sim.market.rules import rule
from coalesced.sim.market.run import simulate
from coalesced.sim.market.scenario import Scenario
from coalesced.sim.paper.section import SEED, Plan, Results, Section, table

SIZES = (5, 10, 20, 40, 80)
TASKS = 1500
SHOWN = 8
"""How many runs each figure is a mean over: a chain is estimated from one run's transitions."""
SETTLED_SHARE = 0.05
"""A seller counts as one of those that a run settles on from this share of the hires of its last third."""
INTRODUCTION = """## Theorem 1

"The decision process converges to a stable equilibrium within O(log n) iterations", by way of a Markov chain over
LOCAL and the n contractors whose second eigenvalue is below 1 "under the correlation adjustment". What holds:

1. **Beliefs fixed, market stationary.** The choice depends on the task and a coin, not on the previous choice: every
   row of the transition matrix is the same distribution. Its eigenvalues are 1 and n zeros, the chain mixes in one
   step whatever n is, and eq. (17) holds with nothing to say. The correlation adjustment moves the common row and no
   eigenvalue but that.
2. **Irreducible because epsilon > 0?** Sellers that answer are all reached. LOCAL need not be: where every task has an
   eligible seller above tau it is never chosen (column `LOCAL`). Without exploration the unchosen are never reached.
3. **Beliefs learnt.** Then the next choice depends on the whole history, and the process is no chain over these states.
   The table estimates the chain of the choices all the same, from the transitions of one run after its first third;
   `shuffled` is the same choices in random order: what sampling alone makes of an eigenvalue of 0.
4. **O(log n)?** The bound is about mixing, and mixing is not what takes time. Before choices can settle, each seller
   that will be relied on must have been tried: at random that takes about n/epsilon tasks, linear in n, and a rule
   that goes by claims and prices finds most of them sooner. `settles` is the number of tasks until the last of the
   sellers that take at least 5 % of the hires of the last third was hired for the first time."""


def market(sellers: int) -> Scenario:
    """Stationary but for the noise of prices: the theorem's own premise. Printed regime, 20 % dishonest."""
    third = 0.2 / 3
    return Scenario(
        name="theorem",
        contractors=sellers,
        tasks=TASKS,
        demand="paper",
        local_scale=1.0,
        spoofers=third,
        fabricators=third,
        baiters=third,
    )


def transitions(choices: Ints, states: int) -> Floats:
    """(states, states): the estimated matrix; a state that was never left has a row of its own stationary share."""
    counts = np.zeros((states, states))
    np.add.at(counts, (choices[:-1], choices[1:]), 1.0)
    share = np.bincount(choices, minlength=states) / len(choices)
    left = counts.sum(1, keepdims=True)
    return np.where(left > 0.0, counts / np.maximum(1.0, left), share)


def second_eigenvalue(matrix: Floats) -> float:
    """The second largest modulus."""
    found = np.sort(np.abs(np.linalg.eigvals(matrix)))
    return float(found[-2])


def fixed_beliefs(probabilities: Floats) -> Floats:
    """The chain of choices that do not depend on the previous one: every row is `probabilities`."""
    return np.tile(probabilities, (len(probabilities), 1))


def settling(seller: Ints) -> int:
    """Tasks until all that are relied on in the last third have been hired once; 0 where nobody is."""
    late = seller[2 * len(seller) // 3 :]
    hires = late[late >= 0]
    if not len(hires):
        return 0
    share = np.bincount(hires) / len(hires)
    relied = np.flatnonzero(share >= SETTLED_SHARE)
    return int(max(np.flatnonzero(seller == one)[0] for one in relied)) + 1


def plan(runs: int) -> Plan:
    """It needs the choices themselves, which summaries leave out: `write` simulates."""
    return {}


def write(results: Results) -> str:
    """The page."""
    rows, settled = [], {}
    for name in ("paper", "authors", "expected-cost"):
        for sellers in SIZES:
            row, settled[name, sellers] = _row(name, sellers)
            rows.append(row)
    header = ("rule", "n", "log2 n", "second eigenvalue", "shuffled", "LOCAL, %", "settles after, tasks")
    uniform = second_eigenvalue(fixed_beliefs(np.full(11, 1.0 / 11)))
    return "\n\n".join(
        (
            INTRODUCTION,
            f"Computed for fixed beliefs and n = 10: second eigenvalue {uniform:.1g}.",
            table(header, rows),
            _verdict(settled),
        )
    )


def _verdict(settled: Mapping[tuple[str, int], float]) -> str:
    first, last = SIZES[0], SIZES[-1]
    grown = ", ".join(
        f"{settled[name, last] / max(1.0, settled[name, first]):.1f}-fold under `{name}`"
        for name in dict.fromkeys(rule for rule, _ in settled)
    )
    return (
        f"From n = {first} to {last}, log n grows {np.log(last) / np.log(first):.1f}-fold and n {last // first}-fold. "
        f"What settles first takes longer: {grown}."
    )


def _row(name: str, sellers: int) -> tuple[tuple[object, ...], float]:
    log = simulate(market(sellers), rule(name), SEED, range(SHOWN))
    rng = np.random.default_rng(SEED)
    found, shuffled, local, settles = [], [], [], []
    for run in range(SHOWN):
        seller = log.seller[run]
        choices = seller[TASKS // 3 :] + 1
        found.append(second_eigenvalue(transitions(choices, sellers + 1)))
        shuffled.append(second_eigenvalue(transitions(rng.permutation(choices), sellers + 1)))
        local.append(100.0 * (choices == 0).mean())
        settles.append(settling(seller))
    means = (np.mean(found), np.mean(shuffled), np.mean(local), np.mean(settles))
    shown = (f"{one:.{digits}f}" for one, digits in zip(means, (2, 2, 1, 0), strict=True))
    return (name, sellers, f"{np.log2(sellers):.1f}", *shown), float(means[-1])


SECTION = Section("Theorem 1", plan, write)
