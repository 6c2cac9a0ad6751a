"""What an executor says is applied, stored and told in order, whatever the executor, its listeners or a cancel do."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("a2a")

from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.context import ServerCallContext
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import InvalidAgentResponseError, TaskNotCancelableError, UnsupportedOperationError

from coalesced.gateway.a2a.handler import Handler
from coalesced.gateway.a2a.runs import QUEUE_EVENTS

LIMIT_S = 60.0
CONTEXT = ServerCallContext()
Play = Callable[[TaskUpdater, RequestContext], Awaitable[None]]


class Plays(AgentExecutor):
    """Begins a task and does with it what it is told."""

    def __init__(self, play: Play, *, begins: bool = True) -> None:
        self._play = play
        self._begins = begins

    async def execute(self, context: RequestContext, event_queue: Any) -> None:
        assert context.task_id
        assert context.context_id
        assert context.message
        if self._begins and context.current_task is None:
            status = pb.TaskStatus(state=pb.TaskState.TASK_STATE_SUBMITTED)
            task = pb.Task(id=context.task_id, context_id=context.context_id, status=status, history=[context.message])
            await event_queue.enqueue_event(task)
        await self._play(TaskUpdater(event_queue, context.task_id, context.context_id), context)

    async def cancel(self, context: RequestContext, event_queue: Any) -> None:
        return None


def handler(play: Play, *, begins: bool = True) -> Handler:
    made = Handler(
        Plays(play, begins=begins),
        InMemoryTaskStore(),
        push_store=None,
        push_sender=None,
        allow_private=False,
        any_media_type=True,
    )
    made.show(pb.AgentCard(capabilities=pb.AgentCapabilities(streaming=True)), None)
    return made


def message(text: str = "x", *, task_id: str = "", at_once: bool = False) -> pb.SendMessageRequest:
    said = pb.Message(message_id=text, role=pb.Role.ROLE_USER, parts=[pb.Part(text=text)], task_id=task_id)
    return pb.SendMessageRequest(message=said, configuration=pb.SendMessageConfiguration(return_immediately=at_once))


async def begun(made: Handler, **arguments: Any) -> pb.Task:
    async with asyncio.timeout(LIMIT_S):
        task = await made.on_message_send(message(**arguments), CONTEXT)
    assert isinstance(task, pb.Task)
    return task


async def test_an_executor_that_fails_leaves_a_failed_task_and_its_caller_hears_why() -> None:
    async def play(updater: TaskUpdater, context: RequestContext) -> None:
        await updater.start_work()
        raise UnsupportedOperationError("no")

    made = handler(play)
    with pytest.raises(UnsupportedOperationError, match="no"):
        await begun(made)
    (task,) = (await made.on_list_tasks(pb.ListTasksRequest(), CONTEXT)).tasks
    assert task.status.state == pb.TaskState.TASK_STATE_FAILED


async def test_a_status_before_its_task_is_refused_and_the_task_fails() -> None:
    async def play(updater: TaskUpdater, context: RequestContext) -> None:
        await updater.complete()

    made = handler(play, begins=False)
    with pytest.raises(InvalidAgentResponseError, match="before it had begun"):
        await begun(made)
    (task,) = (await made.on_list_tasks(pb.ListTasksRequest(), CONTEXT)).tasks
    assert task.status.state == pb.TaskState.TASK_STATE_FAILED


async def test_a_cancelled_executor_says_nothing_more() -> None:
    at_work = asyncio.Event()

    async def play(updater: TaskUpdater, context: RequestContext) -> None:
        await updater.start_work()
        at_work.set()
        try:
            await asyncio.Event().wait()
        finally:
            await updater.complete()

    made = handler(play)
    task = await begun(made, at_once=True)
    await at_work.wait()
    cancelled = await made.on_cancel_task(pb.CancelTaskRequest(id=task.id), CONTEXT)
    stored = await made.on_get_task(pb.GetTaskRequest(id=task.id), CONTEXT)
    assert stored is not None
    assert cancelled.status.state == stored.status.state
    with pytest.raises(TaskNotCancelableError):
        await made.on_cancel_task(pb.CancelTaskRequest(id=task.id), CONTEXT)


async def test_messages_for_one_task_are_taken_one_after_the_other() -> None:
    under_way, most = 0, 0

    async def play(updater: TaskUpdater, context: RequestContext) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        await updater.requires_input()

    made = handler(play)
    task = await begun(made, text="first")
    await asyncio.gather(*(begun(made, text=f"n{number}", task_id=task.id) for number in range(5)))
    stored = await made.on_get_task(pb.GetTaskRequest(id=task.id), CONTEXT)
    assert stored is not None
    assert most == 1
    assert sorted(one.message_id for one in stored.history) == ["first", "n0", "n1", "n2", "n3", "n4"]


async def test_who_listens_too_slowly_is_dropped_and_holds_nobody_up() -> None:
    go_on = asyncio.Event()

    async def play(updater: TaskUpdater, context: RequestContext) -> None:
        await go_on.wait()
        for number in range(QUEUE_EVENTS + 10):
            await updater.add_artifact([pb.Part(text="x")], artifact_id=f"a{number % 3}")
        await updater.complete()

    made = handler(play)
    task = await begun(made, at_once=True)
    slow = made.on_subscribe_to_task(pb.SubscribeToTaskRequest(id=task.id), CONTEXT)
    assert (await anext(slow)).id == task.id
    waiting = asyncio.create_task(anext(slow))
    await asyncio.sleep(0)
    go_on.set()
    await waiting
    async with asyncio.timeout(LIMIT_S):
        while True:
            stored = await made.on_get_task(pb.GetTaskRequest(id=task.id), CONTEXT)
            if stored is not None and stored.status.state == pb.TaskState.TASK_STATE_COMPLETED:
                break
            await asyncio.sleep(0)
        assert len([event async for event in slow]) <= QUEUE_EVENTS


async def test_nothing_is_held_of_a_task_that_nobody_works_on() -> None:
    async def play(updater: TaskUpdater, context: RequestContext) -> None:
        await updater.requires_input()

    made = handler(play)
    before = len(asyncio.all_tasks())
    for number in range(20):
        await begun(made, text=f"n{number}")
    async with asyncio.timeout(LIMIT_S):
        while made._runs._runs or len(asyncio.all_tasks()) > before:  # noqa: ASYNC110
            await asyncio.sleep(0)
