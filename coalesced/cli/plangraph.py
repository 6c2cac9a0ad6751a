"""A plan's graph as lines: each step below what it needs, with who did it, at which cost, how it was checked."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from coalesced.cli.escape import escaped
from coalesced.cli.units import duration, money, short_task
from coalesced.control.shapes.plans import Plan
from coalesced.control.shapes.tasks import Step

if TYPE_CHECKING:
    from coalesced.cli.face import Face
    from coalesced.control.client import ControlClient

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
        yield escaped("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if rows:
        yield escaped(_sum(steps))


async def show_graph(face: "Face", client: "ControlClient", task_id: str) -> None:
    """Print how a plan's graph stands, beside the answer: lines, or JSON on one line. Nothing for what is no plan."""
    why = await client.why(task_id)
    if not why["steps"]:
        return
    if face.as_json:
        face.print_json_line({"schema": "coalesced.steps/1", "steps": why["steps"]})
        return
    if why["plan"] is not None:
        for line in made_lines(why["plan"]):
            face.note(line)
    for line in graph_lines(why["steps"]):
        face.note(line)


def _cells(step: Step, depth: int) -> tuple[str, ...]:
    mark = MARKS.get(step["state"], ">")
    needs = step["needs"]
    after = f" <- {', '.join(needs) if len(needs) <= SHOWN_NEEDS else f'{len(needs)} steps'}" if needs else ""
    checked = step["verdict"] and step["level"] not in ("", "none")
    rests = f"rests on unverified {', '.join(step['rests_on'][:SHOWN_NEEDS])}" if step["rests_on"] else ""
    more = len(step["rests_on"]) - SHOWN_NEEDS
    return (
        f"{'  ' * depth}{mark} {escaped(step['name'])}{escaped(after)}",
        escaped(step["skill"]) or "merge",
        step["state"],
        escaped(step["by"]) or "-",
        _cost(step),
        "-" if step["spent_s"] is None else duration(step["spent_s"]),
        f"{step['level']}: {step['verdict']}" if checked else "-",
        short_task(step["task"]) if step["task"] else "",
        f"receipt {step['receipt'][:8]}" if step["receipt"] else "",
        escaped(rests) + (f" and {more} more" if more > 0 else ""),
    )


def _cost(step: Step) -> str:
    """What it cost in the end; before that what was agreed, in brackets."""
    if step["cost_micro"] is not None:
        return money(step["cost_micro"])
    return "-" if step["price_micro"] is None else f"({money(step['price_micro'])})"


def change_line(step: Step) -> str:
    """One step as it stands now, in one line."""
    return escaped("  ".join(cell for cell in _cells({**step, "needs": []}, 0) if cell not in ("", "-")))


def made_lines(plan: Plan) -> Iterator[str]:
    """Who made a plan, how and at which cost."""
    how = {
        "model": f"Planned by {plan['model']}",
        "repaired": f"Planned by {plan['model']}, repaired once",
        "rule": "Planned by rule",
        "file": "Planned as given",
    }[plan["made_by"]]
    spent = f" for {money(plan['cost_micro'])} in {duration(plan['spent_s'])}" if plan["drafts"] else ""
    because = f": {plan['why']}" if plan["why"] else ""
    yield escaped(f"{how}{spent}{because}.")
    for number, draft in enumerate(plan["drafts"], 1):
        why = f": {draft['text']}" if draft["text"] else ""
        yield escaped(
            f"  draft {number}: {draft['outcome']}, {money(draft['cost_micro'])}, {duration(draft['spent_s'])}{why}"
        )


def _sum(steps: Sequence[Step]) -> str:
    paid = [step for step in steps if step["skill"]]
    done = [step for step in paid if step["state"] == "completed"]
    peers = {step["by"] for step in done} - {"this node", ""}
    here = sum(step["by"] == "this node" for step in done)
    cost = money(sum(step["cost_micro"] or 0 for step in done))
    return f"{len(done)} of {len(paid)} steps done, {here} here, {len(done) - here} by {len(peers)} peers, for {cost}."
