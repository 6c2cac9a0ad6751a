"""Sees each of this node's deals to its end: looks at chain and journal and does what follows, again and again.

It keeps nothing in memory that a crash could lose. A step that is refused or does not get through is tried again from
what the chain says by then; the chain takes each step once, and a deal that both sides forget ends by time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from crypto.hashing import tagged_hash
from crypto.identity import Identity, short_id
from node.community.community import Community
from node.community.following import Following
from node.community.waiters import NotCommittedError
from node.env import Env
from node.errors import NodeError
from node.ledger.chain.state import (
    CLOSED,
    DISPUTED,
    SUBMITTED,
    Account,
    AccountId,
    Deal,
    State,
    account_key,
    deal_key,
)
from node.net.errors import NetError
from node.net.peers import Peers
from node.outsource.settlement.arbiter import Arbiter
from node.outsource.settlement.config import SettlementConfig
from node.outsource.settlement.deals import (
    Known,
    Step,
    changed_deals,
    step_of_arbiter,
    step_of_client,
    step_of_contractor,
)
from node.outsource.settlement.exhibits import exhibit_hash
from node.outsource.settlement.papers import Job, Papers
from node.store.exhibits import Exhibits
from protocol.errors import RemoteProtocolError
from protocol.messages import DealExhibit
from protocol.transactions import Dispute, Expire, InDeal, Refund, Release, Rule, Submit

LOOK_S: Final = 1.0
"""Between two looks at open deals when nothing happens: deadlines pass without a block."""
SUBMIT_TIMEOUT_S: Final = 20.0
SHOW_TIMEOUT_S: Final = 20.0
AGAIN_S: Final = 5.0
"""Before a step that did not get through is tried again."""
KINDS: Final[dict[Step, type[InDeal]]] = {
    "submit": Submit,
    "release": Release,
    "refund": Refund,
    "dispute": Dispute,
    "rule": Rule,
    "expire": Expire,
}

log = structlog.get_logger()
Tell = Callable[[bytes, str], Awaitable[None]]
"""Writes a line into a task's log."""


@dataclass(frozen=True, slots=True)
class _Next:
    """What this node does next about a deal."""

    step: Step
    fields: dict[str, Any] = field(default_factory=dict)
    exhibit: bytes | None = None


class Steward:
    """One loop over all open deals that this node is a party to, or the arbiter of."""

    def __init__(
        self,
        *,
        identity: Identity,
        env: Env,
        community: Community,
        peers: Peers,
        papers: Papers,
        arbiter: Arbiter,
        exhibits: Exhibits,
        config: SettlementConfig,
        tell: Tell,
    ) -> None:
        self.papers = papers
        self.arbiter = arbiter
        self._identity = identity
        self._env = env
        self._community = community
        self._peers = peers
        self._config = config
        self._tell = tell
        self._open: dict[bytes, Known] = {}
        self._seen: State | None = None
        self._under_way: set[bytes] = set()
        self._exhibits = exhibits
        self._shown: set[bytes] = set()
        """What there are exhibits about: own deals by name, others' that this node is the arbiter of by key."""
        self._wake = asyncio.Event()
        self._not_before: dict[bytes, float] = {}

    # --- what hiring tells it

    def wake(self) -> None:
        """Something was written into the journal."""
        self._wake.set()

    def begins(self, name: bytes) -> None:
        """This node works for the deal of this name: what is locked for it is not given back now."""
        self._under_way.add(name)

    def ends(self, name: bytes) -> None:
        """That work is delivered, or will never be."""
        self._under_way.discard(name)
        self._wake.set()

    async def shows(self, name: bytes, exhibit: bytes) -> None:
        """What there is to show about an own deal if the seller of a rejected result insists on its pay."""
        await self._keep(name, exhibit)

    async def _keep(self, about: bytes, exhibit: bytes) -> None:
        await self._exhibits.keep(about, exhibit, self._env.unix_ms())
        self._shown.add(about)

    async def tell(self, name: bytes, text: str) -> None:
        """Write a line about a deal of this node's own into its task's log."""
        await self._tell_of(self.papers.jobs.get(name), text)

    async def _tell_of(self, job: Job | None, text: str) -> None:
        if job is not None and job.task_id is not None:
            with suppress(NodeError):  # the task may be past its retention
                await self._tell(job.task_id, text)

    def open_deals(self) -> list[Known]:
        """Those that this node has a part in, the next to end first."""
        return sorted(self._open.values(), key=lambda known: known.deal.due_unix_ms)

    # --- the loop

    async def run(self) -> None:
        """Look, act, wait; for ever."""
        await self.papers.load()
        self._shown |= await self._exhibits.deals()
        while True:
            self._wake.clear()
            try:
                following = self._community.following
                await self._look(following)
                await self._act(following)
            except NodeError as error:
                log.debug("settlement.waits", reason=str(error))
            await self._pause()

    async def _pause(self) -> None:
        """Until something is to be done, or a second has passed."""
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(self._wake.wait())]
        with suppress(NotCommittedError):
            waits.append(asyncio.create_task(self._community.following.next_block()))
        try:
            await asyncio.wait(waits, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    async def _look(self, following: Following) -> None:
        """Take in what has changed on the chain; what was closed is told."""
        state = following.state
        if state is self._seen:
            return
        me = state.account_of(self._identity.public_key)
        for key, known in changed_deals(self._seen, state):
            if known is None or known.deal.stage == CLOSED:
                if self._open.pop(key, None) is not None and known is not None:
                    await self._tell_of(self.papers.job_of(known), _how_it_closed(known.deal))
                if known is not None:
                    await self._forget(known, is_own=known.client == me)
            elif me is not None and me in (known.client, known.deal.contractor, known.deal.arbiter):
                self._open[key] = known
        self._seen = state

    async def _forget(self, known: Known, *, is_own: bool) -> None:
        if self.papers.job_of(known) is not None:
            self.papers.forget(known.name)
            self._under_way.discard(known.name)
        for about in (known.key, known.name) if is_own else (known.key,):
            if about in self._shown:
                await self._exhibits.forget(about)
                self._shown.discard(about)
        self._not_before.pop(known.key, None)
        self.arbiter.forget(known)

    async def _act(self, following: Following) -> None:
        """Every step that is due now, each for itself."""
        steps = (self._step(following, known) for known in self._due(following.state))
        for failure in await asyncio.gather(*steps, return_exceptions=True):
            match failure:
                case None:
                    continue
                case NodeError() | RemoteProtocolError():
                    # A full disk, a damaged entry: the other deals are not to wait for this one.
                    log.warning("deal.not_seen_to", error=str(failure))
                case _:
                    raise failure

    def _due(self, state: State) -> list[Known]:
        """Those that something may be done about. Anybody may make any number of deals with this node, or have it judge
        them: what it knows nothing of is not looked into again and again."""
        me, now_s = state.account_of(self._identity.public_key), asyncio.get_running_loop().time()
        return [
            known
            for key, known in self._open.items()
            if self._not_before.get(key, 0.0) <= now_s
            and (
                me == known.client
                or (key in self._shown if me == known.deal.arbiter else self.papers.job_of(known) is not None)
            )
        ]

    async def _step(self, following: Following, known: Known) -> None:
        chosen = await self._next(following.state, known)
        if chosen is None:
            return
        self._not_before[known.key] = asyncio.get_running_loop().time() + AGAIN_S
        client = following.state.the(Account, account_key(known.client)).key
        kind = KINDS[chosen.step]
        try:
            tx = following.author.sign(following.state, kind, client=client, deal=known.name, **chosen.fields)
            await following.submit(tx, timeout_s=SUBMIT_TIMEOUT_S)
        except NotCommittedError as error:
            # Somebody else was first, or it did not get through: the chain says which at the next look.
            log.info("deal.waits", deal=known.name.hex()[:16], step=chosen.step, reason=str(error))
            return
        self._not_before.pop(known.key, None)
        log.info("deal.step", deal=known.name.hex()[:16], step=chosen.step)
        if chosen.step == "dispute":
            await self._tell_of(self.papers.job_of(known), "the seller asks for its pay: its arbiter is called")
            if chosen.exhibit is not None:
                await self._show(following, known, chosen.exhibit)

    async def _next(self, state: State, known: Known) -> _Next | None:
        me, now = state.account_of(self._identity.public_key), self._env.unix_ms()
        if me == known.deal.arbiter:
            ruling = await self.arbiter.ruling(known) if known.deal.stage == DISPUTED else None
            step = step_of_arbiter(known.deal, now, has_ruling=ruling is not None)
            return _Next(step, {"contractor_credits": ruling}) if step else None
        job = self.papers.job_of(known)
        if me == known.client:
            return await self._next_of_client(state, known, job, now)
        return await self._next_of_contractor(known, job, now)

    async def _next_of_client(self, state: State, known: Known, job: Job | None, now: int) -> _Next | None:
        if job is None:
            step = step_of_client(known.deal, "abandoned", now, patience_ms=0)
            return _Next(step) if step else None
        ended = await self.papers.bought(job)
        asks_more = known.deal.stage == SUBMITTED and known.deal.asked_credits > ended.paid_micro
        ending = "rejected" if ended.ending == "accepted" and asks_more else ended.ending
        review_ms = self._community.following.machine.genesis.parameters.review_ms
        patience_ms = known.deal.due_unix_ms - review_ms + round(1000 * self._config.dispute_after_s)
        step = step_of_client(known.deal, ending, now, patience_ms=patience_ms)
        if step == "dispute" and (exhibit := await self._exhibits.of(known.name)) is not None:
            return _Next(step, {"exhibit_sha256": exhibit_hash(exhibit)}, exhibit)
        return _Next(step) if step else None

    async def _next_of_contractor(self, known: Known, job: Job | None, now: int) -> _Next | None:
        if job is None:
            # Locked, and its award not here yet: whoever locked it takes it back when none comes.
            return None
        sold = await self.papers.sold(job)
        step = step_of_contractor(
            known.deal,
            now,
            is_delivered=sold.result is not None,
            is_under_way=known.name in self._under_way,
            lets_go=sold.is_refused and self._config.refund_rejected,
        )
        if step == "submit":
            assert sold.result is not None
            asked = min(sold.invoice_micro, known.deal.credits)
            return _Next(step, {"credits": asked, "result_commitment": tagged_hash(b"deal-result", sold.result)})
        return _Next(step) if step else None

    async def _show(self, following: Following, known: Known, exhibit: bytes) -> None:
        """Send the arbiter what it is to judge; where it cannot be reached, its silence splits what was asked."""
        arbiter = following.state.the(Account, account_key(AccountId(known.deal.arbiter))).key
        try:
            where = await following.endpoint(arbiter)
            if where is None:
                log.warning("deal.arbiter_not_found", arbiter=short_id(arbiter))
                return
            async with asyncio.timeout(SHOW_TIMEOUT_S):
                session = await self._peers.session(arbiter, where)
                await session.request(DealExhibit(deal=known.name, exhibit=exhibit), timeout_s=SHOW_TIMEOUT_S)
        except (NetError, TimeoutError, RemoteProtocolError) as error:
            log.warning("deal.not_shown", arbiter=short_id(arbiter), error=str(error))

    # --- what a client shows this node

    async def take_exhibit(self, client_key: bytes, shown: DealExhibit) -> str:
        """Keep an exhibit for a deal of `client_key` that this node is the arbiter of; empty, or why it is refused."""
        try:
            state = self._community.following.state
        except NotCommittedError as error:
            return str(error)
        client = state.account_of(client_key)
        me = state.account_of(self._identity.public_key)
        known = None if client is None else self._known(state, client, shown.deal)
        if client is None or known is None or known.deal.arbiter != me:
            return "no deal of yours has this node as its arbiter"
        await self._keep(known.key, shown.exhibit)
        self._wake.set()
        return ""

    def _known(self, state: State, client: AccountId, name: bytes) -> Known | None:
        deal = state.find(Deal, deal_key(client, name))
        return None if deal is None else Known(client, name, deal)


def _how_it_closed(deal: Deal) -> str:
    returned = deal.credits - deal.paid_credits
    if not deal.paid_credits:
        return f"all {deal.credits} credits are back"
    back = f", {returned} are back" if returned else ""
    return f"{deal.paid_credits} credits are paid{back}"
