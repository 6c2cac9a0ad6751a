"""No result is accepted unverified at the level decided, and none that the world knows to be wrong."""

from collections.abc import Iterator

from coalesced.sim.checkers.evidence import Facts, TaskFacts
from node.execute.inline import BuiltinWork
from node.tasks.content import Content
from node.views import EventView
from protocol.specification import Specification

TRUTH_SEED = bytes(range(32))


def is_verified(row: TaskFacts, facts: Facts, events: list[EventView]) -> Iterator[str]:
    """A hired result was verified at the level decided, and its receipt says so."""
    decided, verified = _last_hired(events)
    if decided is None or decided.decision is None:
        return
    name, level = f"task {row.task_id.hex()[:8]}", decided.decision.level
    if verified is None or verified.verdict != "accepted":
        yield f"{name} was completed by a contractor, and no verification accepted its result"
    elif verified.level != level:
        yield f"{name} was to be verified at level {level}, and was at {verified.level}"
    accepted = [offer.terms for offer in facts.book.offers.get(row.task_id, []) if offer.terms.verdict == "accepted"]
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
    if decided is None or decided.decision is None or decided.decision.level == "none":
        return
    finding = work.check(specification.skill, given.data, given.media_type, got.data, "full", TRUTH_SEED)
    if finding.score_ppm < specification.verification.min_score_ppm // 2:
        yield (
            f"task {row.task_id.hex()[:8]} was accepted at level {decided.decision.level} with a result of "
            f"{finding.score_ppm} ppm: {'; '.join(finding.reasons)[:200]}"
        )


def _last_hired(events: list[EventView]) -> tuple[EventView | None, EventView | None]:
    """The last decision, if it was to hire, and the verification after it."""
    last = max((at for at, event in enumerate(events) if event.name == "decided"), default=None)
    if last is None:
        return None, None
    decided = events[last]
    if decided.decision is None or decided.decision.choice != "outsource":
        return None, None
    return decided, next((event for event in events[last:] if event.name == "verified"), None)
