"""A decision in one screen: the table of options, and the sentences that say what would change it."""

from collections.abc import Iterator, Sequence

from coalesced.cli.escape import escaped
from coalesced.cli.plangraph import graph_lines
from coalesced.cli.units import decimals_for, duration, money, percent, share, short_task
from coalesced.control import shapes

TITLES = ("option", "price", "+time", "+risk", "+verify", "=total", "p(good)")


def headline(decision: shapes.Decision) -> str:
    """The decision in one sentence."""
    options = {option["name"]: option for option in reversed(decision["options"])}
    options.update({option["name"]: option for option in decision["options"] if option["chosen"]})
    match decision["choice"]:
        case "local":
            return f"LOCAL: here, at {_total(options.get('local'))} expected."
        case "outsource":
            here = decision["local_micro"]
            against = "; this node cannot do it" if here is None else f", against {money(here)} here"
            check = f", verification {decision['level']}" if decision["level"] != "none" else ", unverified"
            name = decision["contractor"]
            return escaped(f"OUTSOURCE to {name}{check}: {_total(options.get(name))} expected{against}.")
        case _:
            return "NONE: neither this node nor any seller can do it within the limits."


def _total(option: shapes.OptionRow | None) -> str:
    return "an unknown cost" if option is None else money(option["total_micro"])


def best_of_each(options: Sequence[shapes.OptionRow]) -> list[shapes.OptionRow]:
    """One row a name: the chosen one, else its cheapest that is feasible. The chosen row first, then by total."""
    best: dict[str, shapes.OptionRow] = {}
    for option in sorted(options, key=_rank):
        best.setdefault(option["name"], option)
    return sorted(best.values(), key=_rank)


def _rank(option: shapes.OptionRow) -> tuple[bool, bool, int]:
    return (not option["chosen"], not option["feasible"], option["total_micro"])


def table_lines(decision: shapes.Decision) -> Iterator[str]:
    """The options as aligned lines, the chosen one marked, with those that are out named below."""
    rows = best_of_each(decision["options"])
    feasible = [row for row in rows if row["feasible"]]
    # Less than a micro-dollar is shown as one with six zeros, not as if it were free.
    decimals = max((decimals_for(row["total_micro"] or 1) for row in feasible), default=4)
    cells = [TITLES] + [
        (
            escaped(row["name"]),
            money(row["price_micro"], decimals),
            money(row["time_micro"], decimals),
            money(row["risk_micro"], decimals),
            money(row["verify_micro"], decimals) if row["verify_micro"] or row["name"] != "local" else "-",
            money(row["total_micro"], decimals),
            share(row["success_ppm"]),
        )
        for row in feasible
    ]
    widths = [max(len(line[at]) for line in cells) for at in range(len(TITLES))]
    marks = [" "] + [">" if row["chosen"] else " " for row in feasible]
    for mark, line in zip(marks, cells, strict=True):
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        yield f"{mark} " + "  ".join(padded).rstrip()
    for row in rows:
        if not row["feasible"]:
            yield f"  {escaped(row['name'])} is out: {escaped(row['note']) or 'it cannot do this'}"
    yield from _no_offer_lines(decision["no_offers"])


def _no_offer_lines(rows: Sequence[shapes.NoOfferRow]) -> Iterator[str]:
    """A line a reason, with all whose reason it is."""
    names: dict[str, list[str]] = {}
    for row in rows:
        names.setdefault(row["reason"], []).append(row["name"])
    for reason, who in names.items():
        yield escaped(f"  {', '.join(who)} made no offer: {reason}")


def sentences(decision: shapes.Decision) -> str:
    """The reasons, and whether this was an exploration."""
    said = [escaped(reason) for reason in decision["reasons"]]
    if not any("xplored" in reason for reason in said):
        said.append(f"Explored: {'yes' if decision['explored'] else 'no'}.")
    return " ".join(said)


def explained(decision: shapes.Decision) -> Iterator[str]:
    """Table, sentences, and what the figures rest on."""
    yield from table_lines(decision)
    yield sentences(decision)
    if decision["policy"]:
        yield grounds(decision)
    for flag in decision["market"]:
        yield f"Market: {sign(flag)}"


def grounds(decision: shapes.Decision) -> str:
    """How sure the figures are: the policy, how predictions of the local time turned out, how often is audited."""
    said = [f"Policy {decision['policy']}."]
    if decision["local_micro"] is not None:
        runs, error = decision["local_samples"], decision["local_error_ppm"]
        known = f"from {runs} runs" if runs else "never measured here"
        missed = "" if error is None else f", {share(error)} off on average"
        said.append(f"Local time {known}{missed}.")
    if decision["audited"]:
        said.append(f"Drawn for an audit ({share(decision['audit_ppm'])} of its unseen work is checked).")
    elif decision["audit_ppm"] and decision["level"] == "none":
        said.append(f"Not drawn for an audit ({share(decision['audit_ppm'])} of its unseen work is checked).")
    return escaped(" ".join(said))


def sign(flag: shapes.MarketFlag) -> str:
    """One alarm of a market screen, with how often such alarms are wrong and right."""
    who = f" of {flag['peer']}" if flag["peer"] else ""
    wrong, right = percent(flag["false_alarms_ppm"]), flag["detected_ppm"]
    found = "how often it is right is not measured" if right is None else f"it found {percent(right)} of the guilty"
    return escaped(
        f"{flag['screen']}{who}: {flag['text']}. A sign, no proof: in simulated markets it spoke up about "
        f"{wrong} of the innocent; {found}."
    )


def replayed(replay: shapes.Replay) -> Iterator[str]:
    """Whether a stored decision is the same when it is made again, and what it says."""
    decision = replay["decision"]
    where = escaped(f"decision {replay['number']} of task {short_task(replay['task_id'])}")
    if replay["same"]:
        yield f"{where}: the same to the last bit (inputs {escaped(replay['inputs_sha256'][:12])})."
    else:
        parts = escaped(", ".join(replay["differs"])) or "its text"
        yield f"{where}: NOT the same; what differs: {parts}. Another version of coalesced made it."
    yield headline(decision)
    yield from explained(decision)


def why_lines(why: shapes.Why) -> Iterator[str]:
    """Everything about one task: outcome, decision, what was tried, timeline."""
    task = why["task"]
    yield outcome(task)
    yield from map(checked, task["checks"])
    if task["parent"]:
        yield f"Part of task {short_task(task['parent'])}: coalesced why {short_task(task['parent'])}"
    if why["decision"] is not None:
        yield ""
        yield headline(why["decision"])
        yield from explained(why["decision"])
    if why["tried"]:
        yield ""
        yield "Tried before:"
        yield from (f"  {escaped(line)}" for line in why["tried"])
    if why["timeline"]:
        yield ""
        width = max(len(row["name"]) for row in why["timeline"])
        for row in why["timeline"]:
            yield f"{'+' + duration(row['after_s']):>10}  {row['name']:<{width}}  {escaped(row['text'])}".rstrip()
    if why["receipt"] is not None:
        receipt = why["receipt"]
        signed = "signed by both" if receipt["countersigned"] else f"one-sided report: {escaped(receipt['fault'])}"
        at = "" if receipt["journal_height"] is None else f", journal height {receipt['journal_height']}"
        yield ""
        yield f"Receipt {receipt['id'][:12]}: {signed}, {money(receipt['price_micro'])}{at}."
    if why["steps"]:
        yield ""
        yield "Steps (each has its own: coalesced why ID):"
        yield from graph_lines(why["steps"])
        failed = [sub for sub in why["subtasks"] if sub["state"] != "completed"]
        yield from (f"  {short_task(sub['id'])}  {outcome(sub)}" for sub in failed)
    elif why["subtasks"]:
        yield ""
        yield "Handed on by its function (each has its own: coalesced why ID):"
        yield from (f"  {short_task(sub['id'])}  {outcome(sub)}" for sub in why["subtasks"])


def judged(level: str, verdict: str, score_ppm: int | None) -> str:
    """What verification said; that there was none, where only the form of the result was looked at."""
    if level in ("", "none"):
        return f"{verdict} without a check"
    return f"verification {level}: {verdict}" + ("" if score_ppm is None else f" ({share(score_ppm)})")


def checked(check: shapes.CheckMade) -> str:
    """One check of a result in one line: what it found, what it cost."""
    verdict = "passed" if check["passed"] else "failed"
    paid = f", {money(check['cost_micro'])}" if check["cost_micro"] else ""
    return escaped(f"  {check['name']}: {verdict} ({share(check['score_ppm'])}{paid}) {check['text']}".rstrip())


def outcome(task: shapes.Task) -> str:
    """A task's outcome in one line."""
    # What failed need not have failed by its contractor: the deadline, this node or its owner may have ended it.
    hired = f"by {task['peer']}" if task["state"] == "completed" else f"at {task['peer']}"
    where = {"local": "here", "outsource": hired}.get(task["choice"], "")
    parts = [f"{task['skill']}: {task['state']}" + (f" {where}" if where else "")]
    if task["cost_micro"] is not None:
        parts.append(f"cost {money(task['cost_micro'])}")
    # Nothing is saved by what failed, nor against local work that was not possible.
    if task["saving_micro"] and task["state"] == "completed" and task["local_micro"] is not None:
        word = "saved" if task["saving_micro"] > 0 else "lost"
        parts.append(f"{word} {money(abs(task['saving_micro']))} against local")
    if task["verdict"]:
        parts.append(judged(task["level"], task["verdict"], task["score_ppm"]))
    if task["finished_unix_ms"] is not None:
        parts.append(f"took {duration((task['finished_unix_ms'] - task['created_unix_ms']) / 1000)}")
    if task["error"] is not None:
        parts.append(task["error"]["text"])
    if task["question"]:
        parts.append(f"asks: {task['question']}")
    return escaped(" · ".join(parts))
