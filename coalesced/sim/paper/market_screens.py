"""How often the market screens cry wolf and how often they are right, and what can be done about it."""

import math
from collections import Counter

import numpy as np
from msgspec import structs

from coalesced.sim.market.binding import SIMULATED
from coalesced.sim.market.metrics import summarise
from coalesced.sim.market.parameters import Floats
from coalesced.sim.market.rules import rule
from coalesced.sim.market.run import Log, simulate
from coalesced.sim.market.scenario import Scenario, Shock, scenario
from coalesced.sim.market.sellers import Kind
from coalesced.sim.market.statistics import estimate
from coalesced.sim.market.world import draw_worlds
from coalesced.sim.paper.section import SEED, Plan, Results, Section, table
from node.market.rings import rings
from node.market.screens import (
    CARTEL_TASKS,
    LEAST_QUOTES,
    Promise,
    beside_alike,
    cartel,
    concentration,
    hhi,
    hoarding,
    predation,
)

INTRODUCTION = """## Market screens

Honest markets give the false alarms, markets with the conduct the detection; 20 runs each. A ring inside a larger
market is not seen in the spread of all quotes, and sellers whose quotes lie together are no ring by that: those with
the same costs ask the same. The ring screen looks for what they do not do: take turns at standing below
(`node/market/rings.py`). Predation is judged against up to three sellers that promise about the same time and success,
as the node does it; held against all others, at half their median, the cheapest honest kinds of machine look like
predators."""
HIDDEN = """A ring in which each member asks two fifths more of its own price (`ring=markup`) is not found, and cannot
be by quotes: its member with cost c quotes as an honest seller with cost 1.4 c, task by task, and a client does not
know c. Sellers that promise the same ask more or less in honest markets, too: base prices, load and availability
differ. What limits such a ring is not a screen but the others: it cannot keep a client from hiring them."""
COUNTER_MEASURE = """### Counter-measures: a cap on one seller's share, a window for newcomers

`portfolio` gives no seller more than 40 % of recent awards while another is worth it (`share_max`), and up to 5 % of
the decisions to sellers with fewer than three jobs, where they are expected to cost at most a twentieth more than who
would be hired otherwise (`newcomer_share`). Each by itself, and both. One client that buys well buys from few: seen
from its own awards alone, every market at parity is concentrated, and the alarm says so. `entry`: 70 % of the sellers
mark their prices up together, and half of all come only after two fifths of the run. `entrants` counts, of those who
came late, how many got a job at all, in percent."""
PREDATION_TASKS = 100
RING_WINDOW = 50
"""Tasks that one look at a market goes back: half of what the node keeps."""
PREDATORY_AMONG_ALL = 0.5
"""The bound where a price is held against all others'."""
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
    return _percent(found[False]), _percent(found[True])


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


def ring_rates(log: Log) -> tuple[float, float, float]:
    """Of all windows of 50 tasks those that raise the ring alarm; of the ring's members those that are named, of the
    others as well; percent."""
    assert log.quotes_usd is not None
    alarms: list[bool] = []
    members: list[bool] = []
    others: list[bool] = []
    sellers = {seller: str(seller) for seller in range(log.sellers_kind.shape[1])}
    for run in range(len(log.present)):
        ring = set(np.flatnonzero(log.sellers_kind[run] == Kind.COLLUDER).tolist())
        tasks = _by_seller(log.quotes_usd[run])
        for start in range(0, len(tasks) - RING_WINDOW + 1, RING_WINDOW):
            named = {one for found in rings(tasks[start : start + RING_WINDOW], sellers) for one in found.named}
            alarms.append(bool(named))
            for seller, name in sellers.items():
                (members if seller in ring else others).append(name in named)
    return _percent(alarms), _percent(members), _percent(others)


def _by_seller(quotes: Floats) -> list[dict[int, float]]:
    """(tasks, sellers) as the node has it: price by seller, of those that answered."""
    return [{int(seller): float(row[seller]) for seller in np.flatnonzero(np.isfinite(row))} for row in quotes]


def predation_rates(market: Scenario, log: Log, *, by_promise: bool) -> tuple[float, float]:
    """Alarms among honest sellers and among predators over the first 100 tasks, percent of the sellers.

    `by_promise`: each is compared with the sellers that promise the same, not with all.
    """
    assert log.quotes_usd is not None
    sellers = draw_worlds(market, SEED, range(len(log.present))).sellers
    found: dict[bool, list[bool]] = {False: [], True: []}
    for run in range(len(log.present)):
        quotes = log.quotes_usd[run][:PREDATION_TASKS]
        promise = {
            seller: Promise(60.0 * minutes, success)
            for seller, (minutes, success) in enumerate(
                zip(sellers.latency_min[run].tolist(), sellers.claimed[run].tolist(), strict=True)
            )
        }
        tasks = _by_seller(quotes)
        for seller, kind in enumerate(log.sellers_kind[run]):
            if by_promise:
                alarm = predation(*beside_alike(tasks, [promise] * len(tasks), seller))
            else:
                alarm = predation(*_beside_others(quotes, seller), PREDATORY_AMONG_ALL)
            found[bool(kind == Kind.PREDATOR)].append(alarm is not None)
    return _rates(found)


def _beside_others(quotes: Floats, seller: int) -> tuple[list[float], list[float]]:
    beside = [one for one in range(quotes.shape[1]) if one != seller]
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
    everybody = _quoted(_vary("cartel", contractors=8, colluders=1.0, tasks=400))
    apart = _quoted(_vary("apart", contractors=8, tasks=400))
    collusion = _quoted(scenario("collusion"))
    held, preyed = _quoted(scenario("hoarding")), _quoted(scenario("predation"))
    preys, preys_of_all = (predation_rates(scenario("predation"), preyed, by_promise=how) for how in (True, False))
    crowd, ring = ring_rates(honest), ring_rates(collusion)
    small = ring_rates(_quoted(_vary("small", colluders=0.2, tasks=200)))
    large = _vary("large", contractors=100, tasks=100)
    dense = ring_rates(_quoted(large)), ring_rates(_quoted(structs.replace(large, colluders=0.1)))
    noisy = ring_rates(_quoted(_vary("noisy", demand="paper", tasks=200)))
    hidden = ring_rates(_quoted(_vary("markup", colluders=0.3, ring="markup", tasks=200)))
    rows = (
        ("cartel", "windows of 20 tasks, everybody in the ring", cartel_rate(apart), cartel_rate(everybody)),
        ("cartel", "the same, 30 sellers of all kinds, 30 % in the ring", cartel_rate(honest), cartel_rate(collusion)),
        ("ring", "windows of 50 tasks, 30 sellers of all kinds, 30 % in the ring", crowd[0], ring[0]),
        ("ring", "the same, 20 % in the ring", crowd[0], small[0]),
        ("ring", "the same, 100 sellers, 10 % in the ring", dense[0][0], dense[1][0]),
        ("ring", "the same, 30 sellers, each one's load going its own way", noisy[0], None),
        ("ring", "the same, 30 % of 30 mark up their own prices (`ring=markup`)", crowd[0], hidden[0]),
        ("hoarding", "sellers after 500 requests; 20 % hoard", *hoarding_rates(held)),
        ("predation", "sellers over 100 tasks against those that promise about the same; 10 % prey", *preys),
        ("predation", "the same, against all others", *preys_of_all),
    )
    shown = ((screen, market, _rate(wrong), _rate(right)) for screen, market, wrong, right in rows)
    named = (
        f"Where 30 % are in the ring, the alarm names {ring[1]:.0f} % of its members in each window, and "
        f"{ring[2]:.1f} % of the other sellers."
    )
    header = ("screen", "unit and market", "false alarms", "detected")
    return "\n\n".join((INTRODUCTION, table(header, shown), named, HIDDEN, _counter_measures()))


ENTRY = structs.replace(
    scenario("parity"),
    name="entry",
    colluders=0.7,
    ring="markup",
    shocks=(Shock(kind="supply", start=0.0, end=0.4, share=0.5),),
)
MARKUP = structs.replace(scenario("collusion"), name="markup", ring="markup")
COUNTERED = (
    *(scenario(name) for name in ("parity", "parity-40", "hoarding", "predation", "collusion")),
    MARKUP,
    ENTRY,
)
MEASURES = {
    "expected-cost": rule("expected-cost"),
    "cap": rule("portfolio", structs.replace(SIMULATED, newcomer_share=0.0)),
    "window": rule("portfolio", structs.replace(SIMULATED, share_max=1.0)),
    "both": rule("portfolio"),
}


def _counter_measures() -> str:
    rows = []
    for market in COUNTERED:
        for name, by in MEASURES.items():
            log = simulate(market, by, SEED, range(RUNS), keep_quotes=market is ENTRY)
            alarms, index = concentration_rate(log)
            saved = estimate(summarise(log).cost_reduction).text()
            late = f"{entrants_hired(log):.0f}" if market is ENTRY else "-"
            rows.append((market.name, name, f"{alarms:.0f} %", f"{index:.0f}", late, saved))
    header = (
        "market",
        "rule",
        "concentration or share alarm",
        "HHI of the last 50 awards",
        "entrants, %",
        "cost reduction, %",
    )
    return "\n\n".join((COUNTER_MEASURE, table(header, rows)))


def entrants_hired(log: Log) -> float:
    """Of the sellers that did not answer before two fifths of the run were over, those that got a job; percent."""
    assert log.quotes_usd is not None
    hired: list[bool] = []
    for run, quotes in enumerate(log.quotes_usd):
        answered = np.isfinite(quotes)
        late = ~answered[: len(quotes) * 2 // 5].any(0) & answered.any(0)
        hired += [bool((log.seller[run] == seller).any()) for seller in np.flatnonzero(late)]
    return _percent(hired)


def _quoted(market: Scenario) -> Log:
    return simulate(market, rule("expected-cost"), SEED, range(RUNS), keep_quotes=True)


def _vary(name: str, **changes: object) -> Scenario:
    return structs.replace(scenario("parity"), name=name, **changes)


def _percent(found: list[bool]) -> float:
    return 100.0 * float(np.mean(found)) if found else math.nan


def _rate(percent: float | None) -> str:
    return "-" if percent is None else f"{percent:.1f} %"


SECTION = Section("Screens", plan, write)
