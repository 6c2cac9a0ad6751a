"""Looks for a planted bug with the scripts and the simulator, and says what found it after how many runs."""

from dataclasses import dataclass
from itertools import islice

from coalesced.sim.ledger.mutants import Mutant, planted
from coalesced.sim.ledger.scenarios import SCENARIOS
from coalesced.sim.ledger.scripts import SCRIPTS
from coalesced.sim.ledger.world import Outcome, simulate

MAX_NAMED = 3
"""Scripts in a row of the table; the rest is a number."""


@dataclass(frozen=True, slots=True)
class Caught:
    """What came of one hunt."""

    mutant: Mutant
    scripts: tuple[str, ...]
    """That fail with this bug."""
    outcome: Outcome | None
    """The first simulated run that fails."""
    runs: int
    """Simulated, the failed one included."""

    @property
    def row(self) -> str:
        """For the table of the documentation."""
        by = ", ".join(f"`{name}`" for name in self.scripts[:MAX_NAMED]) or "-"
        if len(self.scripts) > MAX_NAMED:
            by += f" and {len(self.scripts) - MAX_NAMED} more"
        run = f"`{self.outcome.scenario}` seed {self.outcome.seed}" if self.outcome else "-"
        after = f"{self.runs}" if self.outcome else f"not in {self.runs}"
        return f"| {self.mutant.name} | {by} | {run} | {after} |"


def failing_scripts(enough: int = len(SCRIPTS)) -> tuple[str, ...]:
    """Which of them fail, with whatever is planted; not looking further than `enough` of them."""
    return tuple(islice((name for name in SCRIPTS if not _passes(name)), enough))


def _passes(name: str) -> bool:
    try:
        SCRIPTS[name]()
    except Exception:  # noqa: BLE001  a wrong core may raise anything
        return False
    return True


def hunt(mutant: Mutant, max_runs: int) -> Caught:
    """All scripts, then worlds of every scenario in turn, from seed 1 on, until one fails."""
    with planted(mutant):
        scripts, runs = failing_scripts(), 0
        while runs < max_runs:
            seed, at = divmod(runs, len(SCENARIOS))
            outcome = simulate(list(SCENARIOS.values())[at], seed + 1)
            runs += 1
            if outcome.violations:
                return Caught(mutant, scripts, outcome, runs)
    return Caught(mutant, scripts, None, runs)
