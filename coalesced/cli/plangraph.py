"""A plan's graph as lines: each step below what it needs, with who did it, at which cost, how it was checked."""

from collections.abc import Iterator, Sequence

from coalesced.cli.escape import escaped
from coalesced.cli.units import duration, money, short_task
from coalesced.control.shapes.tasks import Step

SHOWN_NEEDS = 4
MARKS = {"completed": "+", "failed": "x", "cancelled": "x", "rejected": "x", "left out": "x", "waiting": "."}


def graph_lines(steps: Sequence[Step]) -> Iterator[str]:
    """The steps in the order of the graph, indented by how much must be done before them; then the sum."""
    depths: dict[str, int] = {}
    rows: list[tuple[str, ...]] = []
    for step in steps:
        depths[step["name"]] = 1 + max((depths.get(need, 0) for need in step["needs"]), default=-1)
        rows.append(_cells(step, depths[step["name"]]))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))] if rows else []
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    if rows:
        yield _sum(steps)


def _cells(step: Step, depth: int) -> tuple[str, ...]:
    mark = MARKS.get(step["state"], ">")
    needs = step["needs"]
    after = f" <- {', '.join(needs) if len(needs) <= SHOWN_NEEDS else f'{len(needs)} steps'}" if needs else ""
    checked = step["verdict"] and step["level"] not in ("", "none")
    return (
        f"{'  ' * depth}{mark} {escaped(step['name'])}{escaped(after)}",
        escaped(step["skill"]) or "merge",
        step["state"],
        escaped(step["by"]) or "-",
        "-" if step["cost_micro"] is None else money(step["cost_micro"]),
        "-" if step["spent_s"] is None else duration(step["spent_s"]),
        f"{step['level']}: {step['verdict']}" if checked else "-",
        short_task(step["task"]) if step["task"] else "",
    )


def _sum(steps: Sequence[Step]) -> str:
    paid = [step for step in steps if step["skill"]]
    done = [step for step in paid if step["state"] == "completed"]
    peers = {step["by"] for step in done} - {"this node", ""}
    here = sum(step["by"] == "this node" for step in done)
    cost = money(sum(step["cost_micro"] or 0 for step in done))
    return f"{len(done)} of {len(paid)} steps done, {here} here, {len(done) - here} by {len(peers)} peers, for {cost}."
