"""Many inputs over many targets: what was found, how fast, how much memory."""

import gc
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random

from tests.fuzz import corpus
from tests.fuzz.limits import MEMORY_STEP_BYTES, MIB, Finding, Memory, attempt, watching
from tests.fuzz.mutate import Mutator
from tests.fuzz.target import Parse, Target

ROUNDS = 20
"""Every target has its turn this often, so that memory can be compared between like moments."""
WARM_ROUNDS = 4
"""Then every cache has seen enough of every target."""
FLAT_BYTES = 32 * MIB
"""Most growth of the memory from there to the end."""
MEMORY_EVERY = 64
"""Inputs between two looks at the memory."""


@dataclass(frozen=True, slots=True)
class Case:
    """Where a finding came from: the input can be drawn again from these three."""

    finding: Finding
    seed: int
    index: int

    @property
    def command(self) -> str:
        """What repeats it."""
        return f"scripts/fuzz --target {self.finding.target} --seed {self.seed} --only {self.index}"


@dataclass(slots=True)
class Tally:
    """One target's part."""

    inputs: int = 0
    wall_s: float = 0.0


@dataclass(slots=True)
class Report:
    """What a campaign came to."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    memory_bytes: list[int] = field(default_factory=list)
    """Resident memory at the start and after each round."""
    peak_bytes: int = 0
    wall_s: float = 0.0

    @property
    def inputs(self) -> int:
        """How many were run."""
        return sum(tally.inputs for tally in self.tallies.values())

    @property
    def growth_bytes(self) -> int:
        """From the end of the warm rounds to the end; 0 when there were too few rounds to say."""
        series = self.memory_bytes
        return series[-1] - series[WARM_ROUNDS] if len(series) > WARM_ROUNDS else 0

    @property
    def is_flat(self) -> bool:
        """Whether memory stayed."""
        return self.growth_bytes <= FLAT_BYTES


def draw(target: Target, mutator: Mutator, seed: int, index: int) -> bytes:
    """Input number `index` of a target's stream: it depends on these and the corpus, on nothing else."""
    return mutator.draw(Random(f"{seed}/{target.name}/{index}"))


def mutator_of(target: Target) -> Mutator:
    """Over the target's kept corpus."""
    return Mutator(target.form, corpus.load(target), target.max_bytes)


class Campaign:
    """Runs targets in rounds until their shares of `inputs` are done, or until `deadline_s` (monotonic)."""

    def __init__(self, targets: Sequence[Target], seed: int, deadline_s: float, rounds: int = ROUNDS) -> None:
        self._targets = targets
        self._rounds = rounds
        self._seed = seed
        self._deadline_s = deadline_s
        self._seen: set[str] = set()
        self.report = Report(tallies={target.name: Tally() for target in targets})

    def run(self, inputs: int) -> Report:
        """All rounds."""
        memory = Memory()
        began_s = time.monotonic()
        self.report.memory_bytes.append(memory.now_bytes())
        with ExitStack() as stack:
            opened = [(target, stack.enter_context(target.opened()), mutator_of(target)) for target in self._targets]
            shares = sum(target.share for target in self._targets)
            for number in range(1, self._rounds + 1):
                for target, parse, mutator in opened:
                    until = round(inputs * target.share / shares * number / self._rounds)
                    self._turn(target, parse, mutator, until, memory)
                gc.collect()
                memory.grew()
                self.report.memory_bytes.append(memory.now_bytes())
                if time.monotonic() >= self._deadline_s:
                    break
        self.report.wall_s = time.monotonic() - began_s
        self.report.peak_bytes = memory.peak_bytes
        return self.report

    def _turn(self, target: Target, parse: Parse, mutator: Mutator, until: int, memory: Memory) -> None:
        tally = self.report.tallies[target.name]
        began_s = time.monotonic()
        memory.grew()
        with watching(wall=True) as watch:
            for index in range(tally.inputs, until):
                data = draw(target, mutator, self._seed, index)
                finding = attempt(target, parse, data, watch)
                if finding is None and index % MEMORY_EVERY == 0 and (grown := memory.grew()) > MEMORY_STEP_BYTES:
                    what = f"memory: {grown // MIB} MiB more within {MEMORY_EVERY} inputs"
                    finding = Finding(target.name, data, what, "")
                if finding is not None:
                    self._note(Case(finding, self._seed, index))
                tally.inputs += 1
                if time.monotonic() >= self._deadline_s:
                    break
        tally.wall_s += time.monotonic() - began_s

    def _note(self, case: Case) -> None:
        """Keep the first case of each place."""
        if case.finding.place not in self._seen:
            self._seen.add(case.finding.place)
            self.report.cases.append(case)
