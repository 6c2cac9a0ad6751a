"""Draws every view of the control API, by its schema. The console uses it too."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TextIO, cast

from coalesced.cli import columns, explain, ledger_text, priors_text, proofs_text, trust_text, units
from coalesced.cli.escape import escaped
from coalesced.cli.tables import Column, draw_facts, draw_table
from coalesced.control import shapes


def draw(view: Mapping[str, Any], out: TextIO) -> None:
    """Print `view` for a person on a terminal, or as TSV (decision trails as plain text) in a pipe."""
    schema = str(view.get("schema", ""))
    drawer = DRAWERS.get(schema.removeprefix("coalesced.").removesuffix("/1"))
    if drawer is None:
        draw_facts([(name, str(value)) for name, value in view.items()], out)
    else:
        drawer(view, out)
    out.flush()


def _listing(columns: tuple[Column, ...], key: str, empty: str) -> Callable[[Any, TextIO], None]:
    return lambda view, out: draw_table(columns, view[key], out, empty=empty)


def draw_sellers(view: shapes.Sellers, out: TextIO) -> None:
    """Who sells a skill and answered; below, on a terminal, who advertises it and did not."""
    empty = "nobody that sells it was reached" if view["absent"] else "nobody sells it; see: coalesced skills ls"
    draw_table(columns.SELLERS, view["sellers"], out, empty=empty)
    _draw_absent(view["absent"], out)


def _draw_absent(absent: list[shapes.AbsentRow], out: TextIO) -> None:
    if absent and out.isatty():
        draw_table(columns.ABSENT, cast("list[Mapping[str, Any]]", absent), out)


def draw_matches(view: shapes.Matches, out: TextIO, *, parts: bool = False) -> None:
    """What fits a request; `parts` shows the three of eq. (12), how it was read and where was looked.

    How it was read is shown on a terminal too where nothing fits.
    """
    rows = [{**row, "peer": row["peer"] or "here"} for row in view["matches"]]
    draw_table(columns.PARTS if parts else columns.MATCHES, rows, out, empty="nothing fits; see: coalesced skills ls")
    _draw_absent(view["absent"], out)
    if view["about"] and (parts or (out.isatty() and not rows)):
        print(f"\nread as: {escaped(view['about'])}", file=out)
    if parts and view["captions"]:
        print(f"looked under: {escaped(', '.join(view['captions']))}", file=out)


def draw_status(status: shapes.Status, out: TextIO) -> None:
    """The node on one screen; problems last, each with the command that fixes it."""
    tasks = ", ".join(f"{count} {state}" for state, count in status["tasks"].items() if count)
    spent, cap = units.money(status["spent_today_micro"]), units.money(status["cap_today_micro"])
    facts = [
        ("node", f"{status['node']}  {status['did']}"),
        ("network", f"{status['network']}, version {status['version']}, pid {status['pid']}"),
        ("up", units.duration(status["uptime_s"]) + (", draining" if status["draining"] else "")),
        ("listens on", ", ".join(status["listening"])),
        ("peers see", status["advertised"] or "nothing: this node is not reachable"),
        *([("OpenAI clients", status["openai_url"])] if status["openai_url"] else []),
        ("peers", f"{status['peers']} connected, {status['contacts']} known; {status['bootstrap']}"),
        ("sells", ", ".join(status["skills_sold"]) or "nothing"),
        *([("roles", ", ".join(status["roles"]))] if status["roles"] else []),
        ("tasks", tasks or "none yet"),
        ("today", f"{spent} spent of {cap}, {units.money(status['earned_today_micro'])} earned"),
        ("journal", units.counted(status["journal_height"], "entry", "entries")),
        ("ledger", ledger_text.status_line(status["ledger"])),
        ("home", status["home"]),
    ]
    draw_facts(facts, out)
    for problem in status["problems"]:
        fix = f"  ->  {problem['fix']}" if problem["fix"] else ""
        print(("\n" if out.isatty() else "problem\t") + escaped(problem["text"] + fix), file=out)


def draw_tasks(tasks: shapes.Tasks, out: TextIO) -> None:
    """Tasks, the latest first."""
    if not out.isatty():
        draw_table(columns.TASKS, [cast("Mapping[str, Any]", task) for task in tasks["tasks"]], out)
        return
    rows = [{**task, "where": _where(task)} for task in tasks["tasks"]]
    draw_table(columns.TASKS_SHOWN, rows, out, empty="no tasks yet; see: coalesced ask --help")


def _where(task: shapes.Task) -> str:
    if task["side"] == "contractor":
        return f"for {task['peer']}"
    return {"local": "here", "outsource": task["peer"]}.get(task["choice"], "-")


def draw_task(task: shapes.Task, out: TextIO) -> None:
    """One task, as facts."""
    facts = [("task", task["id"]), ("outcome", explain.outcome(task)), ("side", task["side"])]
    facts.append(("created", units.moment(task["created_unix_ms"])))
    if task["deadline_unix_ms"] is not None:
        facts.append(("deadline", units.moment(task["deadline_unix_ms"])))
    facts.append(("input", units.size(task["input_bytes"])))
    if task["result"] is not None:
        facts.append(("result", f"{task['result']['media_type']}, {units.size(task['result']['size_bytes'])}"))
    facts += [("tried", line) for line in task["tried"]]
    if task["receipt"]:
        facts.append(("receipt", task["receipt"]))
    if task["parent"]:
        facts.append(("part of", task["parent"]))
    if task["subtasks"]:
        facts.append(("subtasks", " ".join(task["subtasks"])))
    draw_facts(facts, out)


def draw_receipt(receipt: shapes.Receipt, out: TextIO) -> None:
    """One receipt, as facts."""
    took_s = (receipt["finished_unix_ms"] - receipt["started_unix_ms"]) / 1000
    facts = [
        ("receipt", receipt["id"]),
        ("task", f"{receipt['task_id']}  {receipt['skill']}"),
        ("client", f"{receipt['client']}  {receipt['client_did']}"),
        ("contractor", f"{receipt['contractor']}  {receipt['contractor_did']}"),
        ("price", units.money(receipt["price_micro"], 6)),
        ("started", units.moment(receipt["started_unix_ms"])),
        ("took", units.duration(took_s)),
        ("verdict", explain.judged(receipt["level"], receipt["verdict"], receipt["score_ppm"])),
        ("explored", "yes" if receipt["explored"] else "no"),
        ("signed", "by both" if receipt["countersigned"] else f"one-sided report: {receipt['fault']}"),
        ("journal", "-" if receipt["journal_height"] is None else f"height {receipt['journal_height']}"),
        ("digest", receipt["digest"]),
    ]
    draw_facts(facts, out)


def draw_decision(decision: shapes.Decision, out: TextIO) -> None:
    """The decision and its table; in a pipe, every option as a row."""
    if out.isatty():
        _print_lines([explain.headline(decision), *explain.explained(decision)], out)
    else:
        draw_table(columns.OPTIONS, decision["options"], out)


def draw_market(market: shapes.Market, out: TextIO) -> None:
    """A line a skill; on a terminal, what the screens say stands below."""
    rows = [
        {
            **row,
            "largest": next((f"{one['peer']} {units.percent(one['share_ppm'])}" for one in row["shares"]), None),
            "signs": list(dict.fromkeys(flag["screen"] for flag in row["flags"])),
        }
        for row in market["markets"]
    ]
    shown = columns.MARKET_SHOWN if out.isatty() else columns.MARKET
    draw_table(shown, rows, out, empty="no seller was asked for anything yet; see: coalesced ask --help")
    if out.isatty():
        _print_lines(
            (f"{row['skill']}: {explain.sign(flag)}" for row in market["markets"] for flag in row["flags"]), out
        )


def draw_why(why: shapes.Why, out: TextIO) -> None:
    """Everything about one task. The same in a pipe: it is text to read."""
    _print_lines(explain.why_lines(why), out)


def _print_lines(lines: Iterable[str], out: TextIO) -> None:
    # Parts of them are escaped already, which changes nothing: whatever is not must not reach the terminal either.
    print("\n".join(escaped(line) for line in lines), file=out)


def event_line(event: shapes.Event) -> str:
    """One event in one line, safe to print."""
    progress = "" if event["done_ppm"] is None else f"{event['done_ppm'] / 10_000:.0f} %"
    said = event["text"] or event["question"]
    if not said and event["decision"] is not None:
        said = explain.headline(event["decision"])
    parts = [
        units.clock(event["at_unix_ms"]),
        event["name"],
        units.short_task(event["task_id"]),
        event["peer"],
        progress,
        said,
    ]
    return escaped("  ".join(part for part in parts if part))


def _draw_ping(ping: shapes.Ping, out: TextIO) -> None:
    draw_facts([(ping["peer"], f"{units.duration(ping['rtt_s'])} from {ping['endpoint']}")], out)


def _draw_verify(verify: shapes.Verify, out: TextIO) -> None:
    state = "holds" if verify["ok"] else f"BROKEN: {verify['problem']}"
    checked = units.counted(verify["checked"], "entry", "entries")
    draw_facts([("journal", state), ("checked", checked), ("head", verify["head"])], out)


def _draw_offer(offer: shapes.Offer, out: TextIO) -> None:
    draw_table(columns.OFFERS, [cast("Mapping[str, Any]", offer)], out)


def _draw_entry(entry: shapes.JournalEntry, out: TextIO) -> None:
    facts = [("height", str(entry["height"])), ("when", units.moment(entry["at_unix_ms"])), ("kind", entry["kind"])]
    facts += [(f"  {name}", str(value)) for name, value in entry["body"].items()]
    draw_facts([*facts, ("previous", entry["previous"]), ("digest", entry["digest"])], out)


def _draw_ok(ok: shapes.Ok, out: TextIO) -> None:
    print(escaped(ok["text"]), file=out)


def _draw_event(event: shapes.Event, out: TextIO) -> None:
    print(event_line(event), file=out)


DRAWERS: Final[dict[str, Callable[[Any, TextIO], None]]] = {
    "status": draw_status,
    "peers": _listing(columns.PEERS, "peers", "no peers known yet; see: coalesced doctor"),
    "ping": _draw_ping,
    "skills": _listing(columns.SKILLS, "skills", "this node has no skills"),
    "sellers": draw_sellers,
    "matches": draw_matches,
    "offers": _listing(columns.OFFERS, "offers", "nothing is on sale; see: coalesced sell --help"),
    "offer": _draw_offer,
    "tasks": draw_tasks,
    "task": draw_task,
    "receipt": draw_receipt,
    "decision": draw_decision,
    "why": draw_why,
    "market": draw_market,
    "journal": _listing(columns.JOURNAL, "entries", "the journal is empty"),
    "journal-entry": _draw_entry,
    "verify": _draw_verify,
    "doctor": _listing(columns.CHECKS, "checks", "nothing to check"),
    "ok": _draw_ok,
    "event": _draw_event,
    **ledger_text.DRAWERS,
    **priors_text.DRAWERS,
    **proofs_text.DRAWERS,
    "trust": trust_text.draw_trust,
}
