"""Everything that a run measured, as one value with a schema: what is written as JSON, and what the page is made of."""

import datetime
import importlib
import os
import platform
import time

import msgspec
from msgspec import Struct

from coalesced.testnet.manifest import Conduct, Manifest
from coalesced.testnet.real_tasks.figures import Figures, Prediction, figures, paired, predictions
from coalesced.testnet.real_tasks.outcome import Outcome
from coalesced.testnet.real_tasks.regimes import BASELINE, Regime
from node.execute.catalogue import PACKAGES
from node.execute.mix import COUNTS, MixedTask


class Seller(Struct, frozen=True, kw_only=True):
    """One seller of a market."""

    name: str
    conduct: Conduct
    rate_micro_per_hour: int


class Played(Struct, kw_only=True):
    """One market, as far as it was played."""

    regime: str
    text: str
    rate_micro_per_hour: int
    """What an hour of the buyer's machine costs."""
    sellers: tuple[Seller, ...]
    outcomes: list[Outcome]
    took_s: float = 0.0

    def figures(self) -> list[Figures]:
        """Of each buyer, in the order in which they take part."""
        names = dict.fromkeys(one.by for one in self.outcomes if one.by != BASELINE)
        pairs = {by: paired(self.outcomes, by, self.rate_micro_per_hour) for by in sorted(names)}
        return [figures(by, found) for by, found in pairs.items() if found.own]

    def predictions(self) -> list[Prediction]:
        """Of the all-local node."""
        return predictions(self.outcomes)


class Run(Struct, kw_only=True, tag_field="schema", tag="coalesced.real-tasks/1"):
    """One run of the harness."""

    is_complete: bool = False
    seed: int
    scale: float
    tasks: int
    middle_task_s: float
    """Processor seconds of a middle-sized task on this machine, before the run."""
    date: str
    machine: str
    load_before: float
    load_after: float = 0.0
    took_s: float = 0.0
    markets: list[Played] = msgspec.field(default_factory=list)


def begin(seed: int, scale: float, tasks: int) -> Run:
    """A run that has measured nothing yet but this machine."""
    return Run(
        seed=seed,
        scale=scale,
        tasks=tasks,
        middle_task_s=middle_task_s(scale),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        load_before=os.getloadavg()[0],
    )


def market_of(regime: Regime, manifest: Manifest) -> Played:
    """A market that was just started."""
    sellers = [node for node in manifest.nodes if node.role == "seller"]
    buyer = next(node for node in manifest.nodes if node.role == "buyer")
    return Played(
        regime=regime.name,
        text=regime.text,
        rate_micro_per_hour=buyer.rate_micro_per_hour,
        sellers=tuple(
            Seller(name=node.name, conduct=node.conduct, rate_micro_per_hour=node.rate_micro_per_hour)
            for node in sellers
        ),
        outcomes=[],
    )


def encode(run: Run) -> bytes:
    """The run as JSON, with the figures of every market beside its outcomes."""
    plain = msgspec.to_builtins(run)
    for shown, market in zip(plain["markets"], run.markets, strict=True):
        shown["figures"] = msgspec.to_builtins(market.figures())
        shown["predictions"] = msgspec.to_builtins(market.predictions())
    return msgspec.json.format(msgspec.json.encode(plain), indent=1) + b"\n"


def middle_task_s(scale: float) -> float:
    """Processor seconds of a middle-sized task here: the mean over the kinds, weighted by how often each occurs."""
    total = 0.0
    for label, count in COUNTS.items():
        case = MixedTask(label, 1, scale).case()
        work = importlib.import_module(f"{PACKAGES[label]}.work")
        began = time.process_time()
        work.run(case.input, case.media_type, "full", lambda done_ppm, text: None)
        total += count * (time.process_time() - began)
    return total / sum(COUNTS.values())
