"""What a run is summed up by: one figure a run, so that intervals come from runs. All percentages are 0 to 100."""

from dataclasses import dataclass, fields

import numpy as np

from coalesced.sim.market.parameters import TASK_TYPES, Flags, Floats
from coalesced.sim.market.run import Log
from coalesced.sim.market.sellers import Kind

FIRST: int = 100
"""Tasks that count as the cold start."""
SPREAD = (10.0, 50.0, 90.0)
"""Percentiles that stand for a distribution."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Each field is (runs,) unless it says otherwise."""

    cost_reduction: Floats
    """Honest: 1 - (all that was spent or lost) / (all-local)."""
    first_100: Floats
    """The same over the first hundred tasks."""
    paper_metric: Floats
    """As the authors' code has it: sum of max(0, saving) of what was hired out / cost of what was done locally, with
    eq. (6) as it books it."""
    booked_reduction: Floats
    """1 - (all spent) / (all-local), still by what their code books."""
    time_saving: Floats
    """1 - (time as it was) / (all-local time)."""
    hired: Floats
    explored: Floats
    """Share of all tasks; `explored_hires` is that of the hires."""
    explored_hires: Floats
    missed: Floats
    """Bad work accepted, share of the hires."""
    to_dishonest: Floats
    """Hires of the five dishonest kinds."""
    exposure: Floats
    """Expected loss by leaks, as a share of the all-local cost."""
    per_hour: Floats
    """Tasks an hour."""
    tasks: Floats
    spent_usd: Floats
    local_usd: Floats
    score: Floats
    confidence: Floats
    """Means of TOPSIS score and confidence over hires, where the rule computes them."""
    score_spread: Floats
    confidence_spread: Floats
    """(runs, 3): what a tenth, a half and nine tenths of them lie below."""


def summarise(log: Log) -> Summary:
    """The figures of every run of a log."""
    present = log.present
    hired = (log.seller >= 0) & present
    counted = np.maximum(1, present.sum(1))
    hires = np.maximum(1, hired.sum(1))
    minutes = np.array([one.local_min for one in TASK_TYPES])[log.task_kind] * log.complexity
    took = np.where(hired, log.time_min, minutes)
    saving = np.where(hired, np.maximum(0.0, log.local_usd - log.printed_usd), 0.0)
    kept_usd = _total(log.local_usd, present & ~hired)
    dishonest = (log.kind >= Kind.SPOOFER) & (log.kind <= Kind.LEECHER) & hired
    return Summary(
        cost_reduction=reduction(log.spent_usd, log.local_usd, present),
        first_100=reduction(log.spent_usd[:, :FIRST], log.local_usd[:, :FIRST], present[:, :FIRST]),
        paper_metric=np.where(
            kept_usd > 0.0, 100.0 * _total(saving, present) / np.where(kept_usd > 0.0, kept_usd, 1.0), np.nan
        ),
        booked_reduction=reduction(log.printed_usd, log.local_usd, present),
        time_saving=reduction(took, minutes, present),
        hired=100.0 * hired.sum(1) / counted,
        explored=100.0 * (log.explored & present).sum(1) / counted,
        explored_hires=100.0 * (log.explored & present).sum(1) / hires,
        missed=100.0 * (log.missed & present).sum(1) / hires,
        to_dishonest=100.0 * dishonest.sum(1) / hires,
        exposure=100.0 * _total(log.breach_usd, present) / np.maximum(1e-9, _total(log.local_usd, present)),
        per_hour=present.sum(1) / log.hours,
        tasks=present.sum(1).astype(float),
        spent_usd=_total(log.spent_usd, present),
        local_usd=_total(log.local_usd, present),
        score=_mean(log.score, hired),
        confidence=_mean(log.confidence, present),
        score_spread=_spread(log.score, hired),
        confidence_spread=_spread(log.confidence, present),
    )


def reduction(spent: Floats, local: Floats, present: Flags) -> Floats:
    """(runs,): 100 (1 - sum of `spent` / sum of `local`) over the tasks that are there; NaN where there is none."""
    base = _total(local, present)
    known = base > 0.0
    return np.where(known, 100.0 * (1.0 - _total(spent, present) / np.where(known, base, 1.0)), np.nan)


def joined(parts: list[Summary]) -> Summary:
    """Summaries of consecutive runs as one."""
    return Summary(**{one.name: np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Summary)})


def _total(values: Floats, where: Flags) -> Floats:
    total: Floats = np.where(where, values, 0.0).sum(1)
    return total


def _mean(values: Floats, where: Flags) -> Floats:
    known = where & np.isfinite(values)
    count = known.sum(1)
    total = np.where(known, values, 0.0).sum(1)
    return np.where(count > 0, total / np.maximum(1, count), np.nan)


def _spread(values: Floats, where: Flags) -> Floats:
    known = where & np.isfinite(values)
    nothing = np.full(len(SPREAD), np.nan)
    rows = zip(values, known, strict=True)
    return np.stack([np.percentile(row[there], SPREAD) if there.any() else nothing for row, there in rows])
