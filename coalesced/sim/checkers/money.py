"""Nobody pays twice, caps hold, every quote binds, no promise of money is forgotten. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from coalesced.sim.checkers.evidence import CLIENT, CONTRACTOR, Facts, Promise
from node.store.spending import Caps

DAY_MS = 86_400_000


def pays_once(facts: Facts) -> Iterator[str]:
    """A task is paid for once: to each contractor of a redundant check once, and never more than its budget."""
    for task_id, offers in facts.book.offers_of_tasks().items():
        accepted = {offer.body: offer.terms for offer in offers if offer.terms.verdict == "accepted"}
        contractors = {terms.contractor for terms in accepted.values()}
        is_redundant = all(terms.level == "redundant" for terms in accepted.values())
        if len(accepted) > len(contractors) or (len(accepted) > 1 and not is_redundant):
            yield f"task {task_id.hex()[:8]} was accepted and signed to be paid {len(accepted)} times"
    spent = defaultdict[bytes, int](int)
    for promise in facts.promises:
        spent[promise.task_id] += promise.amount_micro if promise.paid_micro is None else promise.paid_micro
    for task_id, micro in spent.items():
        row = facts.tasks.get(task_id)
        if row is not None and micro > row.budget_micro:
            yield f"task {task_id.hex()[:8]} costs {micro} micro-dollars, over its budget of {row.budget_micro}"


def caps_hold(facts: Facts, caps: Caps, today: int) -> Iterator[str]:
    """What is promised and paid stays under both caps, by the rows and by what was signed."""
    by_day = defaultdict[int, int](int)
    exposed = defaultdict[bytes, int](int)
    for promise in facts.promises:
        is_open = promise.paid_micro is None
        by_day[promise.day] += promise.amount_micro if promise.paid_micro is None else promise.paid_micro
        if is_open or promise.day > today - caps.unverified_days:
            exposed[promise.peer] += promise.unverified_micro + (promise.amount_micro if is_open else 0)
    signed = defaultdict[int, int](int)
    for offers in facts.book.offers.values():
        for offer in offers:
            signed[offer.terms.awarded_unix_ms // DAY_MS] += offer.terms.paid_micro
    for name, sums in (("promised and paid", by_day), ("signed to be paid", signed)):
        for day, used_micro in sums.items():
            if used_micro > caps.day_micro:
                yield f"{used_micro} micro-dollars {name} on day {day} are over the cap of {caps.day_micro}"
    for peer, micro in exposed.items():
        if micro > caps.peer_micro:
            yield f"an exposure of {micro} micro-dollars to {peer.hex()[:8]} is over the cap of {caps.peer_micro}"


def quotes_bind(facts: Facts, others: Mapping[bytes, Facts]) -> Iterator[str]:
    """What is signed to be paid is at most what was quoted, and promised and invoiced as quoted; awards are in time."""
    amounts = {(promise.task_id, promise.peer): promise.amount_micro for promise in facts.promises}
    for order_id, offers in facts.book.offers.items():
        task_id = facts.book.task_ids[order_id]
        for terms in (offer.terms for offer in offers):
            name = f"task {task_id.hex()[:8]}"
            delivered = others[terms.contractor].book.delivered.get(order_id)
            if delivered is None or delivered.quote_sha256 != terms.quote_sha256:
                yield f"{name} has a receipt for a quote that its contractor does not know"
            elif terms.paid_micro > delivered.quote.price_micro or terms.price_micro != delivered.quote.price_micro:
                yield f"{name} was quoted at {delivered.quote.price_micro}, its receipt says {terms.price_micro}"
            if terms.paid_micro and amounts.get((task_id, terms.contractor), terms.price_micro) != terms.price_micro:
                yield f"{name} was promised another sum than the {terms.price_micro} quoted"
    for task_id, delivered in facts.book.delivered.items():
        row = facts.tasks.get(task_id)
        if row is None or row.role != CONTRACTOR:
            continue
        if row.price_micro != delivered.quote.price_micro:
            yield f"task {task_id.hex()[:8]} was taken on at {row.price_micro}, not the quoted price"
        if row.created_unix_ms >= delivered.quote.expires_unix_ms:
            yield f"task {task_id.hex()[:8]} was taken on by a quote that had expired"


def outlives_its_task(facts: Facts) -> Iterator[Promise]:
    """Promises of money that are open for a task that has ended: a result may still be judged, for a while."""
    for promise in facts.promises:
        row = facts.tasks.get(promise.task_id)
        if promise.paid_micro is None and (row is None or row.finished_unix_ms is not None):
            yield promise


def payments_count(facts: Facts) -> Iterator[str]:
    """What was signed to be paid counts as paid."""
    promised = {(promise.task_id, promise.peer): promise for promise in facts.promises}
    for task_id, offers in facts.book.offers_of_tasks().items():
        row = facts.tasks.get(task_id)
        if row is None or row.role != CLIENT or row.finished_unix_ms is None:
            continue
        for terms in (offer.terms for offer in offers):
            found = promised.get((task_id, terms.contractor))
            if terms.paid_micro and (found is None or found.paid_micro != terms.paid_micro):
                yield f"{terms.paid_micro} micro-dollars signed for task {task_id.hex()[:8]} do not count as paid"
        if row.state == "completed" and row.paid_micro > sum(offer.terms.paid_micro for offer in offers):
            yield f"task {task_id.hex()[:8]} says that it cost {row.paid_micro}, and less was signed"
