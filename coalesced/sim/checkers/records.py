"""Awards are journaled before they are sent, receipts bear two signatures, no honest node is accused. Pure."""

from collections.abc import Collection, Iterator, Mapping

from coalesced.sim.checkers.evidence import CONTRACTOR, Facts

CUT_SHORT = frozenset({"cancelled", "timed_out"})
"""How tasks end that stop in the middle of a job."""
OWN_FAULTS = frozenset({"overcharge", "invalid", "bad_result"})
"""Faults that only a dishonest or broken contractor commits, whatever the network does."""


def awards_come_first(facts: Facts, others: Mapping[bytes, Facts]) -> Iterator[str]:
    """Whatever a contractor has taken on stands as an award in its client's journal."""
    for row in facts.tasks.values():
        if row.role != CONTRACTOR or row.peer is None:
            continue
        awards = others[row.peer].book.awards.get(row.task_id, [])
        if not any(award.contractor == facts.key for award in awards):
            yield f"task {row.task_id.hex()[:8]} was taken on, and its client's journal holds no award to this node"


def receipts_are_signed(facts: Facts, others: Mapping[bytes, Facts]) -> Iterator[str]:
    """A receipt bears both signatures, and both parties hold it: the contractor before its client does."""
    for task_id, receipts in facts.book.receipts.items():
        for receipt in receipts:
            terms, name = receipt.terms, f"the receipt of task {task_id.hex()[:8]}"
            if not receipt.has_both_signatures:
                yield f"{name} does not bear both parties' signatures"
            if terms.client == facts.key:
                held = others[terms.contractor].book.receipts.get(task_id, [])
                if receipt.body not in {one.body for one in held}:
                    yield f"{name} is not in its contractor's journal"
            else:
                offered = others[terms.client].book.offers.get(task_id, [])
                if receipt.body not in {one.body for one in offered}:
                    yield f"{name} was never offered by the journal of its client"
        if len({receipt.body for receipt in receipts if receipt.terms.contractor == facts.key}) > 1:
            yield f"task {task_id.hex()[:8]} has several receipts with this contractor's signature"


def undocumented(facts: Facts) -> Iterator[bytes]:
    """Tasks with a receipt that was offered, or a job that ran its course, and neither both signatures nor a report.

    A task that its owner cancelled, or that its own deadline cut short, leaves a job that ran no course to its end.
    """
    for order_id, awards in facts.book.awards.items():
        closed = {receipt.terms.contractor for receipt in facts.book.receipts.get(order_id, [])}
        closed |= {fault.contractor for fault in facts.book.faults.get(order_id, [])}
        due = {offer.terms.contractor for offer in facts.book.offers.get(order_id, [])}
        task_id = facts.book.task_ids[order_id]
        row = facts.tasks.get(task_id)
        if row is not None and row.error_code not in CUT_SHORT:
            due |= {award.contractor for award in awards}
        if due - closed:
            yield task_id


def jobs_are_documented(facts: Facts, interrupted: Collection[bytes]) -> Iterator[str]:
    """Once nothing is under way, every offer and every job is documented; a crash or a full disk excuses."""
    for task_id in undocumented(facts):
        if task_id in facts.tasks and task_id not in interrupted:
            yield f"the job {task_id.hex()[:8]} ended without a receipt of both sides and without a fault report"


def the_honest_are_not_accused(facts: Facts, dishonest: Collection[bytes]) -> Iterator[str]:
    """No fault report of this node blames a node for what only a dishonest one does."""
    for task_id, faults in facts.book.faults.items():
        for fault in faults:
            if fault.reporter == facts.key and fault.kind in OWN_FAULTS and fault.contractor not in dishonest:
                yield f"an honest contractor of task {task_id.hex()[:8]} is reported for {fault.kind}: {fault.text}"
