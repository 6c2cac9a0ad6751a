"""A stored decision made again from its stored inputs: the same to the last bit, or what differs."""

from collections.abc import Sequence

import msgspec

from node.decision.decision import Decision
from node.decision.internal_cost import MachineRates
from node.decision.whatif import changed
from node.errors import NodeError, UsageError
from node.outsource.client.decisionview import decision_view
from node.store.decisions import StoredDecision
from node.views import ReplayView


def chosen(stored: Sequence[StoredDecision], number: int | None, task_id: str) -> StoredDecision:
    """The decision of that number, the last where None; UsageError says which there are."""
    if not stored:
        raise UsageError(f"task {task_id[:8]} has no stored decision: it is somebody else's, a plan, or too old")
    found = stored[-1] if number is None else next((one for one in stored if one.seq == number), None)
    if found is None:
        there = ", ".join(str(one.seq) for one in stored)
        raise UsageError(f"task {task_id[:8]} has no decision {number}: there are {there}")
    return found


def replayed(stored: StoredDecision, task_id: str, what_if: Sequence[str], rates: MachineRates) -> ReplayView:
    """Decide again. NodeError when what is stored is no decision, or was altered, or is of another version."""
    from node.decision.engine import replay

    try:
        before = Decision.from_json(stored.body)
    except (msgspec.MsgspecError, ValueError) as error:
        text = f"decision {stored.seq} of task {task_id[:8]} cannot be read: {error}"
        raise NodeError(f"{text} (it was altered, or another version of coalesced wrote it)") from error
    again = replay(before.inputs)
    shown = replay(changed(before.inputs, what_if, rates)) if what_if else again
    return ReplayView(
        task_id=task_id,
        number=stored.seq,
        same=again.to_json() == stored.body,
        inputs_sha256=before.inputs_sha256,
        differs=tuple(name for name in Decision.__struct_fields__ if getattr(before, name) != getattr(again, name)),
        decision=decision_view(shown, (), (), task_id, stored.unix_ms, ""),
    )
