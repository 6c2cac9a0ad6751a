"""The contractor at work: an award is checked, its input gathered, the work done, the result signed and delivered."""

import asyncio
import hashlib
from contextlib import suppress
from typing import Any, Final

from crypto.identity import Identity, short_id
from node.background import background, came
from node.env import Env
from node.errors import CANCELLED, DeadlineError, NodeError, UsageError
from node.events import EventHub
from node.execute.execution import Execution
from node.execute.lanes import Lane
from node.ledger.journal import note_record
from node.net.errors import Refusal
from node.net.session import Call
from node.outsource.config import ContractorConfig
from node.outsource.contractor.admission import queue_limit
from node.outsource.contractor.clients import Clients
from node.outsource.contractor.intake import Intake
from node.outsource.contractor.quotedesk import QuoteDesk
from node.outsource.contractor.relay import ProgressRelay
from node.outsource.contractor.shop import Shop
from node.outsource.contractor.turns import Queues
from node.outsource.contractor.unrated import Unrated
from node.outsource.delegations import Delegations, Reach
from node.outsource.delivered import Delivered
from node.outsource.expenses import Expenses
from node.outsource.localwork import LocalWork
from node.outsource.patience import limit_s, patience
from node.outsource.settlement.adapter import Adapter
from node.outsource.tasklog import TaskLog
from node.store.journal_store import Journal
from node.store.tasks import TaskChange, TaskRow
from node.tasks.content import Content
from node.tasks.lifecycle import TaskState
from node.tasks.spec import digest
from node.views import EventName
from node.wording import usd
from protocol.errors import RemoteProtocolError
from protocol.messages import (
    MAX_PART_BYTES,
    MAX_QUESTION_CHARS,
    Accepted,
    Award,
    Failed,
    InputRequired,
    Result,
    ResultPart,
)
from protocol.packing import unpack
from protocol.receipts import accept
from protocol.signed import AwardTerms, QuoteTerms, ResultTerms, open_signed, sign
from protocol.specification import Specification

OVERBOOKING: Final = 2
"""Awards are refused at this many times the queue at which quotes are: each quote was given for its own moment."""
CLIENT_LEFT: Final = "the client left or cancelled"


class OutputTooLargeError(NodeError):
    """A result is larger than the client takes, or this node delivers."""

    code = "too_large"


class UnfundedError(NodeError):
    """The price is not locked as the quote asks for."""

    code = "unfunded"


class Contractor:
    """Works for clients. `drain` before the executor stops."""

    def __init__(
        self,
        *,
        identity: Identity,
        network: str,
        config: ContractorConfig,
        env: Env,
        work: LocalWork,
        shop: Shop,
        desk: QuoteDesk,
        clients: Clients,
        turns: Queues,
        tasks: TaskLog,
        journal: Journal,
        hub: EventHub,
        settling: Adapter,
        unrated: Unrated,
        expenses: Expenses,
        delegations: Delegations,
    ) -> None:
        self._identity = identity
        self._network = network
        self._config = config
        self._env = env
        self._work = work
        self._shop = shop
        self._desk = desk
        self._clients = clients
        self._turns = turns
        self._tasks = tasks
        self._journal = journal
        self._hub = hub
        self._settling = settling
        self._expenses = expenses
        self._delegations = delegations
        self._running: dict[asyncio.Task[Any], Lane] = {}
        self._is_stopping = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.intake = Intake()
        self.unrated = unrated

    async def drain(self, timeout_s: float) -> bool:
        """Take no new business and wait for the running jobs; False when some were still running at the end."""
        self._desk.close("draining", "this node is shutting down")
        return await came(self._idle, timeout_s)

    async def stop(self) -> None:
        """Give up what still runs; each client is told."""
        self._is_stopping = True
        for task in self._running:
            task.cancel()
        await self._idle.wait()

    async def work(self, call: Call, award: Award) -> Result | Failed:
        """Do an awarded job and deliver it signed. The client's leaving cancels the work."""
        if closed := self._desk.closed:
            return Failed(code=closed.code, text=closed.text)
        quote, specification = self._check_award(call.peer_key, award)
        standing = self._clients.standing(quote.client, asyncio.get_running_loop().time())
        lane = self._work.executor.lane(quote.skill)
        under_way = sum(other is lane for other in self._running.values())
        if under_way >= lane.slots + OVERBOOKING * queue_limit(standing, self._config):
            return Failed(code="busy", text=f"{under_way} jobs are under way here, the most that I take on")
        self.intake.open(quote.task_id, call.peer_key, specification.input.size_bytes)
        job = asyncio.current_task()
        assert job is not None
        self._running[job] = lane
        self._idle.clear()
        try:
            await self._open_row(quote, award.specification, specification)
            self._desk.awarded(quote.client)
            with self._expenses.kept(quote.task_id):
                return await self._see_through(call, award, quote, specification)
        finally:
            self.intake.close(quote.task_id)
            del self._running[job]
            if not self._running:
                self._idle.set()

    def _check_award(self, client: bytes, award: Award) -> tuple[QuoteTerms, Specification]:
        """Both sides' signatures, and that they speak of the same job, now; Refusal otherwise."""
        try:
            terms = open_signed(AwardTerms, award.terms, award.signature, client)
            mine = open_signed(QuoteTerms, award.quote.terms, award.quote.signature, self._identity.public_key)
            specification = unpack(Specification, award.specification)
        except RemoteProtocolError as error:
            raise Refusal(error.code, error.text) from error
        in_parts = specification.input.size_bytes > MAX_PART_BYTES
        problems = {
            "the award is not for my quote": terms.quote_sha256 != digest(award.quote.terms),
            "the award names another task": terms.task_id != mine.task_id,
            "the award names other parties": (terms.client, terms.contractor) != (client, mine.contractor),
            "the quote was given to another client": mine.client != client,
            "the quote is for another network": mine.network != self._network,
            "the quote is for another specification": mine.specification_sha256 != digest(award.specification),
            "the quote has expired": self._env.unix_ms() >= mine.expires_unix_ms,
            "the input has another size": len(award.input) != (0 if in_parts else specification.input.size_bytes),
        }
        for text, is_so in problems.items():
            if is_so:
                raise Refusal("bad_award", text)
        return mine, specification

    async def _open_row(self, quote: QuoteTerms, encoded: bytes, specification: Specification) -> None:
        now = self._env.unix_ms()
        row = TaskRow(
            task_id=quote.task_id,
            role="contractor",
            specification=encoded,
            skill=specification.skill,
            created_unix_ms=now,
            deadline_unix_ms=now + specification.constraints.deadline_ms,
            peer=quote.client,
            price_micro=quote.price_micro,
        )
        try:
            await self._tasks.open(row)
        except UsageError as error:
            raise Refusal("duplicate", "this task was awarded here before") from error
        except asyncio.CancelledError:
            # What was queued is written all the same.
            with suppress(UsageError):
                await asyncio.shield(self._close(quote.task_id, "cancelled", CANCELLED, CLIENT_LEFT))
            raise

    async def _see_through(
        self, call: Call, award: Award, quote: QuoteTerms, specification: Specification
    ) -> Result | Failed:
        """The work, and its end written down whatever it is."""
        try:
            return await self._carry_out(call, award, quote, specification)
        except NodeError as error:
            await self._close(quote.task_id, "failed", error.code, str(error))
            return Failed(code=error.code, text=str(error)[:500])
        except asyncio.CancelledError:
            # Shielded: the client has gone, and what happened must still be written down.
            if self._is_stopping:
                await asyncio.shield(self._close(quote.task_id, "failed", "stopping", "the node stopped"))
                return Failed(code="stopping", text="this node is stopping")
            if call.remaining_s() == 0:
                text = "the client's deadline has passed"
                await asyncio.shield(self._close(quote.task_id, "failed", DeadlineError.code, text))
            else:
                self._clients.took(quote.client, quote.task_id, asyncio.get_running_loop().time())
                await asyncio.shield(self._close(quote.task_id, "cancelled", CANCELLED, CLIENT_LEFT))
            raise
        except Exception:
            # The session's edge answers the client; here only the row is ours.
            await self._close(quote.task_id, "failed", "internal", "an internal error ended this job; see the log")
            raise
        finally:
            # By the journal it is delivered, or it never will be.
            self._settling.ended(award.quote.terms)

    async def _carry_out(self, call: Call, award: Award, quote: QuoteTerms, specification: Specification) -> Result:
        started, salt = self._env.unix_ms(), self._env.entropy(16)
        if why := await self._settling.check(award.quote.terms, quote):
            raise UnfundedError(why)
        await self._tasks.move(quote.task_id, "working")
        self._tell("task_received", quote, f"{quote.skill} for {usd(quote.price_micro)}")
        accepted = accept(self._identity, quote, salt, started)
        await call.emit(accepted)
        content = await self._content(quote.task_id, award, specification)
        execution = await self._execute(call, content, quote, specification)
        self._check_size(execution.output, specification)
        return await self._deliver(call, award, accepted, quote, execution, started)

    def _check_size(self, output: bytes, specification: Specification) -> None:
        most = min(specification.output.max_bytes, self._config.max_output_bytes)
        if len(output) > most:
            raise OutputTooLargeError(f"the result has {len(output)} bytes, over the limit of {most}")

    def _tell(self, name: EventName, quote: QuoteTerms, text: str) -> None:
        self._hub.tell(name, text, peer=short_id(quote.client), task_id=quote.task_id.hex())

    async def _close(self, task_id: bytes, state: TaskState, code: str, text: str) -> None:
        spent_micro = await self._expenses.spent_micro(task_id)
        change = TaskChange(error_code=code, error_text=text)
        await self._tasks.end(task_id, state, text, change, cost_micro=spent_micro or None)

    async def _content(self, task_id: bytes, award: Award, specification: Specification) -> Content:
        """The whole input, as described; a large one arrives in parts."""
        data = award.input
        if specification.input.size_bytes > MAX_PART_BYTES:
            data = await self.intake.whole_input(task_id)
        if hashlib.sha256(data).digest() != specification.input.sha256:
            raise UsageError("the input does not have the digest that its specification states")
        return Content(specification.input.media_type, data)

    async def _execute(
        self, call: Call, content: Content, quote: QuoteTerms, specification: Specification
    ) -> Execution:
        units, quoted_units = await self._work.units(quote.skill, content), self._shop.units(specification)
        if units > quoted_units:
            raise UsageError(f"the input has {units} work units, and the quote was for {quoted_units}")

        async def ask(question: str) -> str:
            with clock.paused():
                await self._tasks.move(quote.task_id, "input-required")
                await self._tasks.note(quote.task_id, "input_required", "asked the client", question=question)
                await call.emit(InputRequired(question=question[:MAX_QUESTION_CHARS]))
                answer = await self.intake.next_answer(quote.task_id)
                await self._tasks.move(quote.task_id, "working")
            return answer

        relay, most_s, left_s = ProgressRelay(call), limit_s(quote.p95_ms / 1000), call.remaining_s()
        reach = Reach(specification.constraints.privacy, specification.constraints.regions)
        delegation = self._delegations.make(quote.task_id, budget_micro=quote.price_micro, left_s=left_s, reach=reach)
        lane = self._work.executor.lane(quote.skill)
        standing = self._clients.standing(quote.client, asyncio.get_running_loop().time())
        try:
            async with patience(most_s) as clock, background(relay.run()), delegation:
                return await self._work.run(
                    quote.skill,
                    content,
                    quote.effort,
                    timeout_s=left_s,
                    memory_bytes=specification.resources.memory_bytes or None,
                    on_progress=relay.put,
                    ask=ask,
                    units=specification.input.work_units,
                    worth_micro=quote.price_micro,
                    budget_micro=quote.price_micro,
                    token=delegation.token,
                    turn=self._turns.of(lane).turn(quote.client, is_known=standing.is_known),
                )
        except TimeoutError as error:
            raise DeadlineError(f"the work did not end within {most_s:g} s and was given up") from error

    async def _deliver(
        self,
        call: Call,
        award: Award,
        accepted: Accepted,
        quote: QuoteTerms,
        execution: Execution,
        started_unix_ms: int,
    ) -> Result:
        output = execution.output
        terms = ResultTerms(
            task_id=quote.task_id,
            quote_sha256=digest(award.quote.terms),
            session_hash=call.session.handshake_hash,
            result_sha256=digest(output),
            result_bytes=len(output),
            invoice_micro=quote.price_micro,
            started_unix_ms=started_unix_ms,
            finished_unix_ms=max(started_unix_ms, self._env.unix_ms()),
        )
        body, signature = sign(self._identity, terms)
        note = Delivered(quote=award.quote.terms, award=award.terms, result=body).note(quote.task_id)
        await asyncio.gather(
            self._journal.append("note", note_record(note), self._env.unix_ms()), self.unrated.keep(accepted, award)
        )
        self._clients.took(quote.client, quote.task_id, asyncio.get_running_loop().time())
        in_parts = len(output) > MAX_PART_BYTES
        if in_parts:
            for offset in range(0, len(output), MAX_PART_BYTES):
                await call.emit(ResultPart(offset=offset, data=output[offset : offset + MAX_PART_BYTES]))
        await self._tasks.end(
            quote.task_id,
            "completed",
            f"delivered to {short_id(call.peer_key)} in {execution.wall_s:.2f} s",
            TaskChange(result_sha256=terms.result_sha256, result_media_type=execution.media_type),
            cost_micro=await self._expenses.spent_micro(quote.task_id) or None,
            result_bytes=len(output),
        )
        self._tell("task_served", quote, f"{quote.skill} in {execution.wall_s:.2f} s")
        return Result(
            terms=body, signature=signature, media_type=execution.media_type, data=b"" if in_parts else output
        )
