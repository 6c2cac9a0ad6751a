"""What the benchmarks print: medians with their spread, where and when they were taken."""

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime


def median_spread(values: Sequence[float], digits: int = 1) -> str:
    """The median, and in parentheses the quartiles, which one disturbed round does not move."""
    low, middle, high = quartiles(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median, the upper quartile; of one value, three times that."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which `share` of the sorted values lie."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def heading(command: str) -> str:
    """One line: date, machine, load, command."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d}, {machine}, load {os.getloadavg()[0]:.1f}: `{command}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["-"] * len(head), *rows]
    return "\n".join("|" + "|".join(f" {cell} " if cell != "-" else "-" for cell in line) + "|" for line in lines)
