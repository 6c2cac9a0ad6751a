"""What happens because time passes: suspicion, saying things again, asking again."""

from collections.abc import Iterator

from node.ledger.pbft import blocks, doubt, fetching, normal
from node.ledger.pbft.effects import Broadcast
from node.ledger.pbft.peers import ask_another
from node.ledger.pbft.pool import Pending
from node.ledger.pbft.state import Now, Replica, S, Stage
from node.ledger.pbft.viewchange import ask, members_at
from protocol.consensus import Status, Transaction

MAX_TOLD = 64
"""Of the transactions that wait too long, the oldest so many are told to all members at a time."""


def rearm(r: Replica[S], now: Now) -> None:
    """Start the timer when there is something to wait for, stop it when there is not; a running one goes on.

    What was just said is not said again at once.
    """
    if not waits(r):
        r.timer_s = None
    elif r.timer_s is None:
        r.timer_s = now.s + r.timeout_s
    if r.resend_after != (r.height, r.view, r.stage):
        r.resend_after = (r.height, r.view, r.stage)
        r.resend_s = now.s + r.config.resend_ms / 1000


def waits(r: Replica[S]) -> bool:
    """Whether the present primary, or the next one, owes something.

    A primary to come is waited for only once q members have asked for it or a later one: alone, one would run through
    the views ahead of everybody. A member that is further counts, or the last ones would wait for it for ever.
    """
    if not r.is_member or r.stage is Stage.HALTED:
        return False
    if r.stage is Stage.CHANGING:
        return members_at(r, r.view) >= r.committee.q
    return len(r.pool) > 0 or r.stage is not Stage.IDLE or r.votes.is_voted_on(r.view, r.committee)


def tick(r: Replica[S], now: Now) -> None:
    """All that is due."""
    if is_overdue(r, now):
        for pending in r.pool:  # what has become impossible meanwhile is no reason
            blocks.keep_admissible(r, pending, now.unix_ms)
        if is_overdue(r, now):
            ask(r, r.view + 1)
    if now.s >= r.status_s:
        r.status_s = now.s + r.config.status_ms / 1000
        r.emit(Broadcast(Status(height=r.head.height, view=r.view), audience="all"))
    if now.s >= r.tell_s:
        r.tell_s = now.s + r.config.resend_ms / 1000
        tell_transactions(r, now)
    if now.s >= r.resend_s:
        r.resend_s = now.s + r.config.resend_ms / 1000
        say_again(r)
    if r.asking.until_s is not None and now.s >= r.asking.until_s:
        ask_another(r, now)
    if r.fetch is not None and r.fetch.until_s is not None and now.s >= r.fetch.until_s:
        fetching.ask_next(r, now)
    if doubt.is_due(r, now):
        doubt.ask(r, now)
    if normal.may_propose(r):
        normal.propose(r, now)


def is_overdue(r: Replica[S], now: Now) -> bool:
    """Whether it is time for another primary."""
    return (waits(r) and r.timer_s is not None and now.s >= r.timer_s) or is_censored(r, now)


def is_censored(r: Replica[S], now: Now) -> bool:
    """Whether a transaction has waited for so long that the primary must be leaving it out."""
    oldest_s = r.pool.oldest_since_s
    return r.is_member and r.is_active and oldest_s is not None and now.s >= oldest_s + censorship_s(r)


def censorship_s(r: Replica[S]) -> float:
    """How long a transaction may wait, in seconds; doubled like the other time-out."""
    return r.config.censorship_timeout_ms / r.config.view_timeout_ms * r.timeout_s


def tell_transactions(r: Replica[S], now: Now) -> None:
    """Tell everybody what waits for too long: the primary may not have it, or not want it.

    What has become impossible meanwhile is thrown out: who proposes no block would never notice.
    """
    overdue = [pending for pending in r.pool if pending.since_s + _patience_s(r, pending) <= now.s]
    for pending in overdue[:MAX_TOLD]:
        if blocks.keep_admissible(r, pending, now.unix_ms):
            r.emit(Broadcast(Transaction(tx=pending.tx)))


def say_again(r: Replica[S]) -> None:
    """Repeat what others may have missed and I still wait for."""
    if r.stage is Stage.CHANGING and r.me in r.changes:
        r.emit(Broadcast(r.changes[r.me].message))
    if r.stage in (Stage.PREPARING, Stage.COMMITTING) and r.accepted is not None and r.accepted_hash is not None:
        if r.is_primary:
            if r.new_view is not None:
                r.emit(Broadcast(r.new_view))
            r.emit(Broadcast(r.accepted))
        for phase in ("prepare", "commit"):
            if r.voted.get((phase, r.view)) == r.accepted_hash:
                r.emit(Broadcast(normal.sign_vote(r, phase, r.view, r.accepted_hash).vote))


def _patience_s(r: Replica[S], pending: Pending) -> float:
    """After how long everybody is told of a transaction. Others' take longer: whoever sent it may have crashed."""
    return (r.config.resend_ms if pending.sender == r.me else r.config.view_timeout_ms) / 1000


def due_s(r: Replica[S]) -> Iterator[float]:
    """When something is to be done, each reason by itself."""
    if r.stage is Stage.HALTED:
        return
    yield r.status_s
    yield from (at_s for at_s in (r.timer_s, r.asking.until_s) if at_s is not None)
    if r.fetch is not None and r.fetch.until_s is not None:
        yield r.fetch.until_s
    if doubt.waits(r):
        yield r.prove_s
    if len(r.pool) > 0:
        yield r.tell_s
    if r.stage in (Stage.PREPARING, Stage.COMMITTING, Stage.CHANGING):
        yield r.resend_s
    oldest_s = r.pool.oldest_since_s
    if r.is_member and r.is_active and oldest_s is not None:
        yield oldest_s + censorship_s(r)
    if normal.may_propose(r):
        yield 0.0
