"""The SDK's executor: a message becomes a task of this node, and the node's events become the caller's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.types.a2a_pb2 import (
    Artifact,
    Message,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
)
from google.protobuf.timestamp_pb2 import Timestamp

from coalesced.control.replies import closable
from coalesced.gateway.a2a.economics import Agreed, receipt
from coalesced.gateway.a2a.orders import parts_of
from coalesced.gateway.a2a.shared import ECONOMICS
from coalesced.gateway.a2a.terms import Offered, Refused, Terms, Work, quote_in
from coalesced.gateway.a2a.words import PROGRESS, said, struct, text_of
from crypto.identity import Identity
from node.background import came
from node.errors import NodeError
from node.store.earnings import Earnings
from node.tasks.lifecycle import ENDED
from node.views import AskRequest, EventView, TaskView

BEGINS_S: Final = 5.0
"""For a task of this node to be written down, after which it can be cancelled."""
LEAST_STEP_MS: Final = 500
"""Between two reports of progress: each is a write to the database and a line to every listener."""
OUTCOMES: Final = {
    "no_offer": "nobody was found who does it, and this agent cannot",
    "refused": "the rules or the budget of this agent forbid it",
    "timed_out": "it was not done in time",
    "verification_failed": "what was delivered did not pass its check",
}
"""What callers hear of an outcome, by its code. The owner's own words tell of his costs, and of other agents."""
OWN_MISTAKES: Final = frozenset({"usage", "bad_input", "unknown_skill"})
"""Errors in what the caller sent: it needs all of the text."""


class NodeCalls(Protocol):
    """The owner's calls that callers' tasks need (coalesced/control/facade.py has them all)."""

    def ask(self, request: AskRequest, /) -> AsyncIterator[EventView]: ...
    def watch(self, task_id: str, /) -> AsyncIterator[EventView]: ...
    async def task(self, task_id: str, /) -> TaskView: ...
    async def answer(self, task_id: str, text: str, /) -> TaskView: ...
    async def cancel(self, task_id: str, /) -> TaskView: ...
    async def result(self, task_id: str, /) -> tuple[bytes, str]: ...


@dataclass(slots=True)
class _Course:
    """A caller's task and the task of this node behind it. `told`: how many of its events the caller has heard."""

    agreed: Agreed | None
    node_task: str = ""
    told: int = 0
    is_cancelled: bool = False
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once `node_task` is known, or never will be."""


class NodeExecutor(AgentExecutor):
    """Runs callers' tasks. Of a task that waits for its caller nothing is held but a few fields."""

    def __init__(
        self, node: NodeCalls, terms: Terms, identity: Identity, earnings: Earnings, unix_ms: Callable[[], int]
    ) -> None:
        self._node = node
        self._terms = terms
        self._identity = identity
        self._earnings = earnings
        self._unix_ms = unix_ms
        self._courses: dict[str, _Course] = {}

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Take one message as far as it goes: to the task's end, or to a question."""
        assert context.message is not None
        teller = _Teller(event_queue, context, self._unix_ms)
        task = context.current_task
        if task is None:
            caller = context.call_context.user.user_name
            terms = await self._terms.of_first(caller, teller.task_id, context.message, context.metadata)
            await teller.open(context.message)
            await self._go(teller, terms)
        elif (course := self._courses.get(task.id)) is not None:
            await self._answered(teller, course, context.message)
        elif quote_in(task) is not None:
            await self._go(
                teller, await self._terms.of_answer(context.call_context.user.user_name, task, context.message)
            )
        else:
            await teller.end(TaskState.TASK_STATE_FAILED, "this agent was restarted while the task was under way")

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """End a task, and the one of this node behind it."""
        course = self._courses.pop(context.task_id or "", None)
        if course is not None:
            course.is_cancelled = True
            # In its first moment the node's task is there, and nobody knows yet what it is called.
            await came(course.begun, BEGINS_S)
            if course.node_task:
                with suppress(NodeError):  # it has just ended by itself
                    await self._node.cancel(course.node_task)
        await _Teller(event_queue, context, self._unix_ms).end(TaskState.TASK_STATE_CANCELED, "cancelled as asked")

    async def _go(self, teller: "_Teller", terms: Work | Offered | Refused) -> None:
        match terms:
            case Refused(text):
                await teller.end(TaskState.TASK_STATE_REJECTED, text)
            case Offered(token, text):
                await teller.tell(TaskState.TASK_STATE_INPUT_REQUIRED, text, {ECONOMICS: {"quote": token}})
            case Work(request, agreed):
                course = self._courses[teller.task_id] = _Course(agreed)
                await self._follow(teller, course, self._node.ask(request))

    async def _answered(self, teller: "_Teller", course: _Course, message: Message) -> None:
        """Hand a caller's answer to the task that asked, and go on telling from there."""
        try:
            await self._node.answer(course.node_task, text_of(message))
        except NodeError as error:
            if (await self._node.task(course.node_task)).state not in ENDED:
                await teller.tell(TaskState.TASK_STATE_INPUT_REQUIRED, str(error))
                return
            # It did not wait for ever: what became of it is what there is left to tell.
        await self._follow(teller, course, self._node.watch(course.node_task))

    async def _follow(self, teller: "_Teller", course: _Course, events: AsyncIterator[EventView]) -> None:
        """Tell what happens to the node's task, from where the caller knows it, until it ends or asks."""
        number, step_ms = 0, 0
        try:
            async with aclosing(closable(events)) as source:
                async for event in source:
                    number += 1
                    if number <= course.told:
                        continue
                    course.told, course.node_task = number, event.task_id
                    course.begun.set()
                    if course.is_cancelled:
                        return
                    match event.name:
                        case "decided" if event.decision is not None:
                            await teller.tell(TaskState.TASK_STATE_WORKING, _place(event.decision.choice))
                        case "progress" if event.at_unix_ms - step_ms >= LEAST_STEP_MS:
                            step_ms = event.at_unix_ms
                            await teller.progress(event.done_ppm or 0)
                        case "input_required":
                            await teller.tell(TaskState.TASK_STATE_INPUT_REQUIRED, event.question)
                            return
                        case "completed" | "failed" | "cancelled" | "rejected":
                            await self._ended(teller, course, event)
                            return
                        case _:
                            pass
        except NodeError as error:
            self._courses.pop(teller.task_id, None)
            await teller.end(TaskState.TASK_STATE_REJECTED, _public(error.code, str(error)))
        finally:
            course.begun.set()

    async def _ended(self, teller: "_Teller", course: _Course, event: EventView) -> None:
        self._courses.pop(teller.task_id, None)
        if event.name == "completed":
            data, media_type = await self._node.result(course.node_task)
            metadata = {}
            if course.agreed is not None:
                now = self._unix_ms()
                token = receipt(self._identity, course.agreed, data, finished_unix_ms=now)
                await self._earnings.post(course.agreed.quote.skill, course.agreed.price_micro, now)
                metadata = {ECONOMICS: {"receipt": token}}
            await teller.deliver(data, media_type, metadata)
            await teller.end(TaskState.TASK_STATE_COMPLETED)
        elif event.name == "cancelled":
            await teller.end(TaskState.TASK_STATE_CANCELED, "this agent ended the task")
        else:
            error = event.task.error if event.task is not None else None
            state = TaskState.TASK_STATE_REJECTED if event.name == "rejected" else TaskState.TASK_STATE_FAILED
            await teller.end(state, _public(error.code, error.text) if error else "it failed")


class _Teller:
    """Tells the events of one caller's task."""

    def __init__(self, queue: EventQueue, context: RequestContext, unix_ms: Callable[[], int]) -> None:
        assert context.task_id is not None
        self.task_id = context.task_id
        self._context_id = context.context_id or ""
        self._queue = queue
        self._unix_ms = unix_ms

    async def open(self, message: Message) -> None:
        """The task itself, before anything is said of it."""
        status = TaskStatus(state=TaskState.TASK_STATE_SUBMITTED, timestamp=self._now())
        task = Task(id=self.task_id, context_id=self._context_id, status=status, history=[message])
        await self._queue.enqueue_event(task)

    async def tell(self, state: TaskState, text: str = "", metadata: dict[str, Any] | None = None) -> None:
        """A new status, with what there is to say of it."""
        status = TaskStatus(state=state, timestamp=self._now())
        if text or metadata:
            message = said(text, task_id=self.task_id, context_id=self._context_id, metadata=metadata)
            status.message.CopyFrom(message)
        await self._status(status)

    end = tell

    async def progress(self, done_ppm: int) -> None:
        """How far it is, as metadata: a message would stay in the task's history."""
        status = TaskStatus(state=TaskState.TASK_STATE_WORKING, timestamp=self._now())
        await self._status(status, {PROGRESS: {"done_ppm": done_ppm}})

    async def deliver(self, data: bytes, media_type: str, metadata: dict[str, Any]) -> None:
        """The result."""
        artifact = Artifact(artifact_id="result", name="result", parts=parts_of(data, media_type))
        if metadata:
            artifact.metadata.CopyFrom(struct(metadata))
            artifact.extensions.append(ECONOMICS)
        await self._queue.enqueue_event(
            TaskArtifactUpdateEvent(
                task_id=self.task_id, context_id=self._context_id, artifact=artifact, last_chunk=True
            )
        )

    def _now(self) -> Timestamp:
        made = Timestamp()
        made.FromMilliseconds(self._unix_ms())
        return made

    async def _status(self, status: TaskStatus, metadata: dict[str, Any] | None = None) -> None:
        event = TaskStatusUpdateEvent(task_id=self.task_id, context_id=self._context_id, status=status)
        if metadata:
            event.metadata.CopyFrom(struct(metadata))
        await self._queue.enqueue_event(event)


def _place(choice: str) -> str:
    return "another agent was hired for it" if choice == "outsource" else "being done by this agent itself"


def _public(code: str, text: str) -> str:
    """What a caller hears of an error."""
    return text if code in OWN_MISTAKES else OUTCOMES.get(code, "it could not be done")
