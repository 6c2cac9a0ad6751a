"""A decision in words: the deciding comparison, and what to know before trusting the numbers."""

from node.decision.decision import Excluded, Exploration, LocalRow, SellerRow
from node.decision.inputs import Inputs, TaskFacts
from node.wording import counted, duration, usd

STRANGER_JOBS = 3


def reason(
    facts: TaskFacts,
    local: LocalRow,
    rows: tuple[SellerRow, ...],
    excluded: tuple[Excluded, ...],
    chosen: SellerRow | None,
    limit: float,
    ceiling: float | None,
    *,
    is_tried: bool,
) -> str:
    """The deciding comparison in one sentence."""
    here = f"doing it here costs {usd(local.total_micro)}"
    if not local.feasible:
        here = f"this node cannot do it ({local.why_not}), and leaving it undone costs {usd(local.total_micro)}"
    if chosen is not None and is_tried:
        return f"{chosen.name} is tried to learn about it, at {usd(chosen.total_micro)} expected in all; {here}."
    if chosen is not None:
        return f"{chosen.name} is expected to cost {usd(chosen.total_micro)} in all; {here}."
    if rows:
        best = rows[0]
        if ceiling is not None and best.score_micro < limit and best.doubted_micro > ceiling:
            return (
                f"{best.name} is expected to cost {usd(best.total_micro)} in all, but is too little known: "
                f"{usd(best.doubted_micro)} if it is not what it claims, and what hiring has saved so far lets that be "
                f"{usd(ceiling)} at most; {here}."
            )
        wanted = f", and --prefer local asks for less than {usd(limit)}" if facts.prefer == "local" else ""
        return f"No seller costs less: {here}{wanted}; the best seller, {best.name}, {usd(best.total_micro)} in all."
    if excluded:
        which = "The only offer cannot" if len(excluded) == 1 else f"None of {len(excluded)} offers can"
        return f"{which} be taken: {here}. {excluded[0].name} {excluded[0].text}."
    if not facts.was_asked:
        return f"Nobody was asked about {facts.skill}: {here}."
    return f"There is no offer for {facts.skill}: {here}."


def warnings(
    inputs: Inputs,
    local: LocalRow,
    rows: tuple[SellerRow, ...],
    chosen: SellerRow | None,
    exploration: Exploration,
) -> tuple[str, ...]:
    """What the reader should know before trusting the numbers."""
    found: list[str] = []
    if local.feasible and inputs.local.samples == 0:
        found.append("The local time is a guess: this kind of task was never measured here.")
    if local.feasible and inputs.local.p95_s > inputs.facts.deadline_s:
        found.append(
            f"The local p95 of {duration(inputs.local.p95_s, 3)} is over the deadline of "
            f"{duration(inputs.facts.deadline_s, 3)}."
        )
    if exploration.alert:
        found.append(exploration.alert)
    if chosen is None:
        return tuple(found)
    candidate = next(one for one in inputs.candidates if one.key == chosen.contractor)
    if candidate.jobs < STRANGER_JOBS:
        found.append(f"{chosen.name} is nearly a stranger: {counted(candidate.jobs, 'job')} with it so far.")
    if chosen.level != "none" and chosen.assumed:
        found.append(f"How much a {chosen.level} check finds is assumed for {inputs.facts.skill}, not measured.")
    if len(rows) == 1:
        found.append("Only one seller to choose from.")
    return tuple(found)
