"""No result is accepted unverified at the level decided, and none that the world knows to be wrong."""

from collections.abc import Iterator

from coalesced.sim.checkers.evidence import Facts, TaskFacts
from node.execute.inline import BuiltinWork
from node.tasks.content import Content
from node.views import DecisionView, EventView
from protocol.specification import Specification

TRUTH_SEED = bytes(range(32))


def is_verified(row: TaskFacts, facts: Facts, events: list[EventView]) -> Iterator[str]:
    """A hired result was verified at the level decided, and its receipt says so."""
    decided, verified = _last_hired(events)
    if decided is None:
        return
    name, level = f"task {row.task_id.hex()[:8]}", decided.level
    if level not in {event.level for event in verified}:
        yield f"{name} was to be verified at level {level}, and was at {[event.level for event in verified]}"
    if level == "redundant":
        return  # Where two results differ, the one made here is handed over, whatever was accepted.
    if not any(event.verdict == "accepted" for event in verified):
        yield f"{name} was completed by a contractor, and no verification accepted its result"
    offers = facts.book.offers_of_tasks().get(row.task_id, [])
    accepted = [offer.terms for offer in offers if offer.terms.verdict == "accepted"]
    if not accepted:
        yield f"{name} was completed by a contractor, and its client signed no receipt"
    elif accepted[-1].level != level or accepted[-1].result_sha256 != row.result_sha256:
        yield f"{name} has a receipt of another level or another result"


def is_right(
    row: TaskFacts,
    events: list[EventView],
    specification: Specification,
    given: Content,
    got: Content,
    work: BuiltinWork,
) -> Iterator[str]:
    """A result that passed a check of any level would pass the full one, at half the score asked: checks sample."""
    decided, _ = _last_hired(events)
    if decided is None or decided.level == "none":
        return
    finding = work.check(specification.skill, given.data, given.media_type, got.data, "full", TRUTH_SEED)
    if finding.score_ppm < specification.verification.min_score_ppm // 2:
        yield (
            f"task {row.task_id.hex()[:8]} was accepted at level {decided.level} with a result of "
            f"{finding.score_ppm} ppm: {'; '.join(finding.reasons)[:200]}"
        )


def _last_hired(events: list[EventView]) -> tuple[DecisionView | None, list[EventView]]:
    """The last decision, if it was to hire, and the verifications after it."""
    last = max((at for at, event in enumerate(events) if event.name == "decided"), default=0)
    decided = events[last].decision if events else None
    if decided is None or decided.choice != "outsource":
        return None, []
    return decided, [event for event in events[last:] if event.name == "verified"]
