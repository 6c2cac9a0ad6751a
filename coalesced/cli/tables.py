"""Tables: drawn by rich on a terminal, tab-separated in a pipe.

In a pipe figures stay as they are on the wire: micro-dollars, seconds, parts per million, Unix milliseconds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TextIO

from coalesced.cli import units
from coalesced.cli.escape import escaped

Kind = Literal["text", "count", "money", "ratio", "seconds", "moment", "flag", "words", "id"]

SHOWN: Final[dict[Kind, Callable[[Any], str]]] = {
    "text": lambda value: str(value),
    "count": lambda value: "-" if value is None else f"{value:,}",
    "money": units.money,
    "ratio": units.share,
    "seconds": units.duration,
    "moment": units.recent,
    "flag": lambda value: "yes" if value else "",
    "words": lambda value: ", ".join(value),
    "id": units.short_task,
}
RIGHT: Final = frozenset({"count", "money", "ratio", "seconds"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, the key of its value, and how that is shown. `optional` ones vanish while all empty."""

    title: str
    key: str
    kind: Kind = "text"
    optional: bool = False


Row = Mapping[str, Any]


def shown(column: Column, row: Row) -> str:
    """A value for people, safe to print."""
    value = row.get(column.key)
    if value is None and column.kind in ("text", "words"):
        return "-"
    return escaped(SHOWN[column.kind](value))


def raw(column: Column, row: Row) -> str:
    """A value for programs: figures as they are on the wire, nothing for None, no tab or line break inside."""
    value = row.get(column.key)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return f"{value:.6g}"
    return escaped(",".join(value) if column.kind == "words" else str(value))


def draw_table(columns: Sequence[Column], rows: Sequence[Row], out: TextIO, *, empty: str = "none") -> None:
    """Print `rows`. On a terminal with titles, or the line `empty` when there are none; in a pipe as bare TSV."""
    if not out.isatty():
        for row in rows:
            print("\t".join(raw(column, row) for column in columns), file=out)
        return
    if not rows:
        print(empty, file=out)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    kept = [c for c in columns if not c.optional or any(row.get(c.key) not in (None, "", False, [], 0) for row in rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, column in enumerate(kept):
        # The first column names the row: what it holds is to be copied, in one piece.
        side: Literal["left", "right"] = "right" if column.kind in RIGHT else "left"
        table.add_column(column.title, justify=side, overflow="fold", no_wrap=at == 0)
    for row in rows:
        # Text, not str: rich would read [markup] in a string.
        table.add_row(*(Text(shown(column, row)) for column in kept))
    Console(file=out, highlight=False).print(table)


def draw_facts(facts: Sequence[tuple[str, str]], out: TextIO) -> None:
    """Print pairs of name and value: aligned on a terminal, tab-separated in a pipe."""
    shown = [(escaped(name), escaped(value)) for name, value in facts]
    if not out.isatty():
        for name, value in shown:
            print(f"{name}\t{value}", file=out)
        return
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        print(f"{name:<{width}}  {value}", file=out)
