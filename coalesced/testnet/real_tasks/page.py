"""A run as a page: what was measured, in the form of the paper's Table II, and beside what the paper prints."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from coalesced.testnet.real_tasks.figures import Figures
from coalesced.testnet.real_tasks.record import Played, Run
from coalesced.testnet.real_tasks.regimes import BASELINE, MICRO
from node.wording import usd

HEAD: Final = """# Real tasks

The paper's 240 tasks (80 document analyses, 60 risk, 60 portfolio, 40 sentiment) done as real work by real processes:
every node is a daemon of its own, sellers are found in the hash table, quote, are hired over encrypted connections and
deliver, and their results are checked. The work is this project's builtin skills on generated inputs. **No language
model takes part and no money moves**: dollars are what the nodes' owners say that an hour of their machine costs.
Regenerate with `scripts/run_240 --page docs/real-tasks.md`."""
PRINTED: Final = """## What the paper prints

| Table II | real, without exploration | real, epsilon-greedy |
|-|-|-|
| cost reduction | 1.9 % | 20.3 % |
| time savings | 15.4 % | 22.1 % |
| outsourcing rate | 5.7 % | 11.4 % |
| exploration rate | 0.0 % | 11.4 % |
| success rate | 100 % (35/35) | 100 % (240/240) |
| TOPSIS score | 0.50 | 0.841 |

The 20.3 and 22.1 (and the text's 344.4 %) are dollars and minutes: the authors' script, which prints exactly these
figures, adds up dollars "saved" and minutes, and a percent sign was set behind them. It runs 35 tasks and not 240. Its
own prices are $.00002 for a task done locally and $.80 to $2.00 for one that is hired. At these no rule can save
anything: had all 240 tasks cost nothing, $.0048 would have been saved, and a single hire costs at least 160 times
that. 20.3 % of the all-local cost is a tenth of a cent. The market `paper` below is this one, and the node's answer to
every task is LOCAL."""
HOW: Final = """## How it is measured

- **all-local**: a node with the same hourly rate that is given every task too and may hire nobody. One task is under
  way at a time, given to each node in an order drawn anew, so that the load of the machine falls on all alike.
- **money**: by the books, a task costs its price, or the time that the work took here at the owner's hourly rate; the
  all-local cost is that of the same work on the all-local node. Sellers price by the time that such work takes them,
  so both sides suffer alike from what else runs here. What the books leave out is added as `own overhead`: the
  processor time of the buyer's daemon and workers for asking, checking and cryptography, at the same rate. Where
  every answer is LOCAL, it is what asking all sellers about every task cost.
- **time**: from the request to the result, on the wall. All nodes share one machine, so a seller is no faster than the
  buyer, and hiring cannot save time here.
- **quality**: every result, bought or made here, goes through a full check of the harness's own. `accepted though bad`
  is what the buyer took and that check refuses.
- **dishonest sellers** quote 60 to 85 % of the middle honest price: a fabricator hands over another input's result, a
  baiter does three jobs a skill well and then the same, a corner-cutter does the least effort for the price of full.
- Intervals are 95 % bootstraps over tasks, in pairs. Each market is played once: another seed gives other figures."""


def page(run: Run) -> str:
    """The whole page as Markdown."""
    parts = [HEAD, _facts(run), PRINTED, HOW, *(_market(market) for market in run.markets), _predictions(run)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(run: Run) -> str:
    state = "" if run.is_complete else " **It was interrupted: what follows is a part.**"
    return (
        f"Measured {run.date} on {run.machine}, shared with other work (load {run.load_before:.1f} before, "
        f"{run.load_after:.1f} after), in {run.took_s / 60:.0f} minutes; seed {run.seed}, {run.tasks} tasks a market, "
        f"a middle-sized task takes {run.middle_task_s:.2f} s of processor time.{state}"
    )


def _market(market: Played) -> str:
    found = market.figures()
    if not found:
        return f"## Market `{market.regime}`\n\nNothing was measured."
    rates = ", ".join(f"{_hourly(one.rate_micro_per_hour)} ({one.conduct})" for one in market.sellers)
    alone = [one for one in market.outcomes if one.by == BASELINE]
    work_s, cpu_s = sum(one.booked_micro for one in alone) / MICRO, sum(one.cpu_s or 0.0 for one in alone)
    says = (
        f"An hour of the buyer's machine costs {_hourly(market.rate_micro_per_hour)}, of the sellers' {rates}. "
        f"{found[0].tasks} tasks, {market.took_s / 60:.0f} minutes. Work "
        f"on the all-local node took {work_s:.0f} s on the wall, and its processes {cpu_s:.0f} s of processor time."
    )
    header = ("", *(f"`{one.by}`" for one in found))
    rows = [(name, *(cell(one) for one in found)) for name, cell in ROWS]
    return f"## Market `{market.regime}`: {market.text}\n\n{says}\n\n{_table(header, rows)}"


def _hourly(rate_micro: int) -> str:
    return f"${rate_micro / MICRO:,.2f}"


def _share(count: int, total: int) -> str:
    return f"{count} of {total} ({100.0 * count / total:.1f} %)" if total else "-"


def _prices(one: Figures) -> str:
    return " / ".join(usd(round(price * MICRO)) for price in one.prices_usd) if one.prices_usd else "-"


def _cheats(one: Figures) -> str:
    bought = {conduct: count for conduct, count in sorted(one.awards.items()) if conduct != "honest"}
    return ", ".join(f"{count} {conduct}" for conduct, count in bought.items()) or "none"


ROWS: Final[tuple[tuple[str, Callable[[Figures], str]], ...]] = (
    ("tasks completed", lambda one: _share(one.completed, one.tasks)),
    ("outsourced", lambda one: _share(one.hired, one.tasks)),
    ("of these", lambda one: ", ".join(f"{count} {label}" for label, count in one.hired_of.items() if count) or "-"),
    ("chosen at random", lambda one: str(one.explored)),
    ("all-local, $", lambda one: usd(one.local_usd * MICRO)),
    ("spent by the books, $", lambda one: usd(one.booked_usd * MICRO)),
    ("of which paid to sellers, $", lambda one: usd(one.paid_usd * MICRO)),
    ("cost reduction by the books", lambda one: one.saved_by_books.text()),
    ("own overhead, $", lambda one: usd(one.overhead_usd * MICRO)),
    ("**cost reduction**, overhead included", lambda one: one.saved.text()),
    ("all-local, s", lambda one: f"{one.local_wall_s:.0f}"),
    ("taken, s", lambda one: f"{one.wall_s:.0f}"),
    ("time saved", lambda one: one.time_saved.text()),
    ("results that pass the harness's check", lambda one: _share(one.good, one.completed)),
    ("mean score", lambda one: f"{one.mean_score:.3f}"),
    ("accepted though bad", lambda one: str(one.bad_accepted)),
    ("hires of dishonest sellers", _cheats),
    ("fell back to another", lambda one: str(one.fallbacks)),
    ("failed", lambda one: str(one.failures)),
    ("prices paid, $: lowest / median / highest", _prices),
    ("TOPSIS score of the chosen", lambda one: "-" if one.topsis is None else f"{one.topsis:.3f}"),
)


def _predictions(run: Run) -> str:
    rows = [
        (market.regime, one.skill, str(one.runs), f"{one.mean_relative_error:.1%}", f"{one.median_relative_error:.1%}")
        for market in run.markets
        for one in market.predictions()
    ]
    if not rows:
        return ""
    says = (
        "What the all-local node expected each task to take, and what it took on the wall, from its 21st run of a type "
        "on: |expected - measured| / measured. `scripts/bench_calibration` measures the same in processor time."
    )
    header = ("market", "type", "runs", "mean error", "median error")
    return f"## Predicted against measured time\n\n{says}\n\n{_table(header, rows)}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(_lines(header, rows))


def _lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "-|" * len(header)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
