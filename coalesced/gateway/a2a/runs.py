"""Tasks that are being worked on: the executor's events, applied, stored and told in the order in which they come.

The SDK's own way to do this takes a producer, a consumer and two dispatchers a task, and queues between them that also
serve threads: three quarters of what a message costs. Here one coroutine runs the executor, and each event is applied
before the executor goes on.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.agent_execution.active_task import TERMINAL_TASK_STATES
from a2a.server.context import ServerCallContext
from a2a.server.events import Event
from a2a.server.tasks.push_notification_sender import PushNotificationSender
from a2a.server.tasks.task_manager import append_artifact_to_task
from a2a.server.tasks.task_store import TaskStore
from a2a.types.a2a_pb2 import (
    Message,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
)
from a2a.utils.errors import InvalidAgentResponseError, UnsupportedOperationError

QUEUE_EVENTS: Final = 1024
"""A listener this far behind is dropped: it can look at the task."""


class _End:
    """The end of one request's events, and the error that it ended with, if any."""

    def __init__(self) -> None:
        self.error: Exception | None = None


Told = Event | _End | None
"""None: the listener fell behind and hears nothing more."""
Listener = asyncio.Queue[Told]


class Run:
    """One task while it is worked on or listened to. To the executor it is the queue that takes its events."""

    def __init__(
        self,
        task_id: str,
        store: TaskStore,
        sender: PushNotificationSender | None,
        on_idle: Callable[["Run"], None],
    ) -> None:
        self.task_id = task_id
        self.task: Task | None = None
        self.held = 0
        """Requests that have it in hand."""
        self._on_idle = on_idle
        self._store = store
        self._sender = sender
        self._listeners: set[Listener] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._one_request = asyncio.Lock()
        self._one_event = asyncio.Lock()
        self._context: ServerCallContext | None = None
        self._unsaid: Message | None = None
        """The message of the request, until it is in the task's history."""

    @property
    def has_ended(self) -> bool:
        """Nothing more can happen to the task."""
        return self.task is not None and self.task.status.state in TERMINAL_TASK_STATES

    def snapshot(self) -> Task:
        """The task as it is now; what happens later does not change it."""
        copied = Task()
        if self.task is not None:
            copied.CopyFrom(self.task)
        return copied

    # --- requests

    async def events(self, executor: AgentExecutor, request: RequestContext) -> AsyncGenerator[Event]:
        """Have the executor take a message, and give what comes of it until it is done with it.

        Leaving early leaves the executor at work. What it raises is raised here, once the task is marked FAILED.
        """
        end, listener = _End(), _listener()
        worker = asyncio.create_task(self._work(executor, request, end, listener))
        self._workers.add(worker)
        # A callback, since one that is cancelled before its first step runs none of its own code.
        worker.add_done_callback(lambda worker: self._worked(worker, listener, end))
        try:
            while True:
                match await listener.get():
                    case _End():
                        if end.error is not None:
                            raise end.error
                        return
                    case None:
                        return
                    case event:
                        yield event
        finally:
            self._unheard(listener)

    async def later_events(self) -> AsyncGenerator[Event]:
        """What happens to the task from now on, until it ends."""
        listener = _listener()
        self._listeners.add(listener)
        try:
            yield self.snapshot()
            while not (self.has_ended and listener.empty()):
                match await listener.get():
                    case _End() | None:
                        return
                    case event:
                        yield event
        finally:
            self._unheard(listener)

    def _unheard(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        self.look()

    def _worked(self, worker: asyncio.Task[None], listener: Listener, end: _End) -> None:
        self._workers.discard(worker)
        self._tell_one(listener, end)
        self._unheard(listener)

    def look(self) -> None:
        """Say so if nobody has it in hand, works on it, or listens."""
        if not self.held and not self._workers and not self._listeners:
            self._on_idle(self)

    async def _work(self, executor: AgentExecutor, request: RequestContext, end: _End, listener: Listener) -> None:
        """One request, once those before it are done; `listener` hears what comes of it, and of no other."""
        try:
            async with self._one_request:
                self._listeners.add(listener)
                self._context, self._unsaid = request.call_context, request.message
                self.task = await self._store.get(self.task_id, request.call_context)
                if self.has_ended:
                    raise UnsupportedOperationError(f"task {self.task_id} takes no more messages")
                request.current_task = self.task
                try:
                    await executor.execute(request, self)  # type: ignore[arg-type]  # a queue by what it does
                except Exception:
                    await self._fail(request)
                    raise
        except Exception as error:  # noqa: BLE001  the edge of the executor: whoever sent the message hears of it
            end.error = error

    async def _fail(self, request: RequestContext) -> None:
        """Leave the task FAILED, also where the executor failed before it made one."""
        status = TaskStatus(state=TaskState.TASK_STATE_FAILED)
        status.timestamp.GetCurrentTime()
        context_id = request.context_id or ""
        if self.task is None:
            history = [request.message] if request.message else []
            await self.enqueue_event(Task(id=self.task_id, context_id=context_id, status=status, history=history))
        elif not self.has_ended:
            event = TaskStatusUpdateEvent(task_id=self.task_id, context_id=self.task.context_id, status=status)
            await self.enqueue_event(event)

    async def cancel(self, executor: AgentExecutor, context: ServerCallContext, stored: Task) -> Task:
        """End the task: first the executor's own way, then what is left of it."""
        self._context = context
        if self.task is None:
            self.task = stored
        request = RequestContext(context, task_id=self.task_id, context_id=stored.context_id, task=self.task)
        try:
            await executor.cancel(request, self)  # type: ignore[arg-type]  # as above
        finally:
            await self.stop()
        if not self.has_ended:
            status = TaskStatus(state=TaskState.TASK_STATE_CANCELED)
            status.timestamp.GetCurrentTime()
            event = TaskStatusUpdateEvent(task_id=self.task_id, context_id=stored.context_id, status=status)
            await self.enqueue_event(event)
        return self.snapshot()

    async def stop(self) -> None:
        """Give up whatever is at work."""
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        if workers:
            await asyncio.wait(workers)

    # --- events

    async def enqueue_event(self, event: Event) -> None:
        """Apply one event of the executor's to the task, store it, and tell it."""
        async with self._one_event:
            if self.has_ended:
                return  # The task was cancelled meanwhile: what its executor still says changes nothing.
            if isinstance(event, Message):
                self._tell(event)
                return
            is_told = self._apply(event)
            assert self.task is not None
            assert self._context is not None
            await self._store.save(self.task, self._context)
            if is_told:
                self._tell(event)
                if self._sender is not None:
                    await self._sender.send_notification(self.task_id, event)

    def _apply(self, event: Task | TaskStatusUpdateEvent | TaskArtifactUpdateEvent) -> bool:
        """Change the task; False for a second beginning, which changes nothing."""
        if isinstance(event, Task):
            if event.id != self.task_id:
                raise InvalidAgentResponseError("the executor began another task than the one it was given")
            if self.task is None:
                self.task = Task()
                self.task.CopyFrom(event)
                self._unsaid = None
                return True
            return False
        task = self.task
        if task is None:
            raise InvalidAgentResponseError("the executor told of a task before it had begun one")
        self._say(task)
        if isinstance(event, TaskArtifactUpdateEvent):
            append_artifact_to_task(task, event)
            return True
        if task.status.HasField("message"):
            task.history.append(task.status.message)
        task.metadata.MergeFrom(event.metadata)
        task.status.CopyFrom(event.status)
        return True

    def _say(self, task: Task) -> None:
        """Put the request's message into the history, behind what it answers; once."""
        unsaid, self._unsaid = self._unsaid, None
        if unsaid is None or any(one.message_id == unsaid.message_id for one in task.history):
            return
        if task.status.HasField("message"):
            task.history.append(task.status.message)
            task.status.ClearField("message")
        task.history.append(unsaid)

    def _tell(self, told: Told) -> None:
        for listener in list(self._listeners):
            self._tell_one(listener, told)

    def _tell_one(self, listener: Listener, told: Told) -> None:
        if listener.full():
            self._listeners.discard(listener)
            listener.get_nowait()
            listener.put_nowait(None)
        else:
            listener.put_nowait(told)


def _listener() -> Listener:
    return asyncio.Queue(QUEUE_EVENTS)


class Runs:
    """The runs of one agent, each held only as long as somebody works on it or listens."""

    def __init__(self, store: TaskStore, sender: PushNotificationSender | None) -> None:
        self._store = store
        self._sender = sender
        self._runs: dict[str, Run] = {}

    @contextmanager
    def of(self, task_id: str) -> Iterator[Run]:
        """The run of a task, in hand for the block."""
        run = self._runs.get(task_id)
        if run is None:
            run = self._runs[task_id] = Run(task_id, self._store, self._sender, self._forget)
        run.held += 1
        try:
            yield run
        finally:
            run.held -= 1
            run.look()

    def _forget(self, run: Run) -> None:
        if self._runs.get(run.task_id) is run:
            del self._runs[run.task_id]

    async def close(self) -> None:
        """Give up whatever is at work."""
        await asyncio.gather(*(run.stop() for run in list(self._runs.values())))
