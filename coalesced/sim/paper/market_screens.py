"""How often the market screens cry wolf and how often they are right, and what a share cap does."""

from collections import Counter

import msgspec
import numpy as np

from coalesced.sim.market.metrics import summarise
from coalesced.sim.market.parameters import Floats
from coalesced.sim.market.rules import rule
from coalesced.sim.market.run import Log, simulate
from coalesced.sim.market.scenario import Scenario, scenario
from coalesced.sim.market.sellers import Kind
from coalesced.sim.market.statistics import estimate
from coalesced.sim.market.world import draw_worlds
from coalesced.sim.paper.section import SEED, Plan, Results, Section, table
from node.market.screens import (
    ALIKE_RATIO,
    CARTEL_TASKS,
    LEAST_QUOTES,
    PREDATORY_RATIO,
    alike,
    cartel,
    concentration,
    hhi,
    hoarding,
    predation,
)

INTRODUCTION = """## Market screens

Honest markets give the false alarms, markets with the conduct the detection; 20 runs each. A ring inside a larger
market is not seen in the spread of all quotes: the cartel screen needs the quotes of sellers that compete. Screening
every group of four to six sellers whose quotes are usually within 6 % of each other names 84 to 88 % of such a ring,
and raises an alarm in 23 to 41 % of all windows of honest markets as well: sellers with the same costs ask the same,
and quotes alone do not tell that from an agreement. Against all others, the predation screen takes the cheapest honest
kinds of machine for predators; against sellers that promise the same time and success (`alike`), it seldom does."""
COUNTER_MEASURE = """### Counter-measure: a cap on one seller's share

`portfolio` gives no seller more than 40 % of recent awards while another is worth it. One client that buys well buys
from few: seen from its own awards alone, every market at parity is concentrated, and the alarm says so."""
RUNS = 20
WINDOW = 50
"""Awards in each of the two periods that concentration compares."""


def plan(runs: int) -> Plan:
    """Screens read quotes and awards, which summaries leave out: `write` simulates."""
    return {}


def quotes_of(log: Log, run: int) -> list[list[float]]:
    """The answers to each request of a run."""
    assert log.quotes_usd is not None
    return [[float(quote) for quote in row[np.isfinite(row)]] for row in log.quotes_usd[run]]


def cartel_rate(log: Log) -> float:
    """Share of all windows of 20 tasks, run by run, that raise the cartel alarm, in percent."""
    alarms, windows = 0, 0
    for run in range(len(log.present)):
        tasks = [quotes for quotes in quotes_of(log, run) if len(quotes) >= LEAST_QUOTES]
        for start in range(0, len(tasks) - CARTEL_TASKS + 1, CARTEL_TASKS):
            windows += 1
            alarms += cartel(tasks[start : start + CARTEL_TASKS]) is not None
    return 100.0 * alarms / windows if windows else float("nan")


def _rates(found: dict[bool, list[bool]]) -> tuple[float, float]:
    """Alarms among the others and among those who do it, in percent."""
    rates = [100.0 * float(np.mean(found[does])) if found[does] else float("nan") for does in (False, True)]
    return rates[0], rates[1]


def hoarding_rates(log: Log) -> tuple[float, float]:
    """Alarms among honest sellers and among hoarders, percent of the sellers."""
    assert log.quotes_usd is not None
    found: dict[bool, list[bool]] = {False: [], True: []}
    for run in range(len(log.present)):
        answered = np.isfinite(log.quotes_usd[run]).sum(0)
        for seller, kind in enumerate(log.sellers_kind[run]):
            alarm = hoarding(int(answered[seller]), len(log.quotes_usd[run]), float(log.acceptance[run, seller]))
            found[bool(kind == Kind.HOARDER)].append(alarm is not None)
    return _rates(found)


def predation_rates(market: Scenario, log: Log, *, by_promise: bool) -> tuple[float, float]:
    """Alarms among honest sellers and among predators over the first 100 tasks, percent of the sellers.

    `by_promise`: each is compared with the sellers that promise the same, not with all.
    """
    assert log.quotes_usd is not None
    sellers = draw_worlds(market, SEED, range(len(log.present))).sellers
    found: dict[bool, list[bool]] = {False: [], True: []}
    for run in range(len(log.present)):
        quotes = log.quotes_usd[run][:100]
        for seller, kind in enumerate(log.sellers_kind[run]):
            beside = [one for one in range(quotes.shape[1]) if one != seller]
            if by_promise:
                beside = alike(seller, sellers.latency_min[run].tolist(), sellers.claimed[run].tolist())
            own, others = _beside_others(quotes, seller, beside)
            alarm = predation(own, others, ALIKE_RATIO if by_promise else PREDATORY_RATIO)
            found[bool(kind == Kind.PREDATOR)].append(alarm is not None)
    return _rates(found)


def _beside_others(quotes: Floats, seller: int, beside: list[int]) -> tuple[list[float], list[float]]:
    there = np.isfinite(quotes[:, seller]) & np.isfinite(quotes[:, beside]).any(1)
    others = quotes[there][:, beside]
    return quotes[there, seller].tolist(), np.nanmedian(others, axis=1).tolist() if there.any() else []


def concentration_rate(log: Log) -> tuple[float, float]:
    """Runs whose last period raises the alarm, percent; and the mean HHI of that period."""
    alarms, indices = [], []
    for run in range(len(log.present)):
        awards = log.seller[run][log.seller[run] >= 0]
        before, now = (Counter(map(str, part)) for part in (awards[-2 * WINDOW : -WINDOW], awards[-WINDOW:]))
        alarms.append(concentration(before, now) is not None)
        indices.append(hhi(now))
    return 100.0 * float(np.mean(alarms)), float(np.mean(indices))


def write(results: Results) -> str:
    """The page."""
    honest = _quoted(scenario("parity"))
    ring = _quoted(_only("cartel", 8, colluders=1.0))
    alike = _quoted(_only("alike", 8))
    partly = _quoted(scenario("collusion"))
    held, preyed = _quoted(scenario("hoarding")), _quoted(scenario("predation"))
    hoards = hoarding_rates(held)
    preys, preys_alike = (predation_rates(scenario("predation"), preyed, by_promise=which) for which in (False, True))
    rows = [
        ("cartel", "windows of 20 tasks, everybody in the ring", _rate(cartel_rate(alike)), _rate(cartel_rate(ring))),
        (
            "cartel",
            "the same, 30 sellers of all kinds, 30 % in the ring",
            _rate(cartel_rate(honest)),
            _rate(cartel_rate(partly)),
        ),
        ("hoarding", "sellers after 500 requests; 20 % hoard", _rate(hoards[0]), _rate(hoards[1])),
        ("predation", "sellers over 100 tasks against all others; 10 % prey", _rate(preys[0]), _rate(preys[1])),
        (
            "predation",
            "the same, against the three that promise the most similar work",
            _rate(preys_alike[0]),
            _rate(preys_alike[1]),
        ),
    ]
    return "\n\n".join(
        (
            INTRODUCTION,
            table(("screen", "unit and market", "false alarms", "detected"), rows),
            _counter_measure(),
        )
    )


def _counter_measure() -> str:
    rows = []
    for name in ("parity", "predation"):
        for by in ("expected-cost", "portfolio"):
            log = simulate(scenario(name), rule(by), SEED, range(RUNS))
            alarms, index = concentration_rate(log)
            saved = estimate(summarise(log).cost_reduction)
            rows.append((name, by, f"{alarms:.0f} %", f"{index:.0f}", saved.text()))
    header = ("market", "rule", "concentration or share alarm", "HHI of the last 50 awards", "cost reduction, %")
    return "\n\n".join((COUNTER_MEASURE, table(header, rows)))


def _quoted(market: Scenario) -> Log:
    return simulate(market, rule("expected-cost"), SEED, range(RUNS), keep_quotes=True)


def _only(name: str, sellers: int, colluders: float = 0.0) -> Scenario:
    return msgspec.structs.replace(scenario("parity"), name=name, contractors=sellers, colluders=colluders, tasks=400)


def _rate(percent: float) -> str:
    return f"{percent:.1f} %"


SECTION = Section("Screens", plan, write)
