"""The agent that the A2A conformance kit expects: it does what the beginning of a message's id asks for.

The scenarios are those of the kit's scenarios/*.feature (a2aproject/a2a-tck, branch 1.0-dev, commit 357c4a8).
"""

import asyncio
from collections.abc import Awaitable, Callable

from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.tasks import TaskUpdater
from a2a.types.a2a_pb2 import Part, Task, TaskState, TaskStatus
from a2a.utils.errors import A2AError
from google.protobuf.json_format import Parse
from google.protobuf.struct_pb2 import Value

LONG_S = 4.0
"""Twice the kit's patience with a stream."""


def file() -> Part:
    """The kit's file."""
    return Part(raw=b"tck", media_type="text/plain", filename="output.txt")


Scenario = Callable[[TaskUpdater], Awaitable[None]]


class RejectedError(A2AError):
    """What the kit calls a rejection by the agent."""


async def complete(updater: TaskUpdater) -> None:
    await updater.complete(updater.new_agent_message([Part(text="Hello from TCK")]))


def completed_with(part: Part) -> Scenario:
    async def play(updater: TaskUpdater) -> None:
        await updater.add_artifact([part])
        await updater.complete()

    return play


def streamed(*parts: Part) -> Scenario:
    async def play(updater: TaskUpdater) -> None:
        await updater.start_work()
        for number, part in enumerate(parts):
            is_last = number == len(parts) - 1
            await updater.add_artifact([part], artifact_id="artifact", append=number > 0, last_chunk=is_last)
        await updater.complete()

    return play


async def wait_for_input(updater: TaskUpdater) -> None:
    await updater.requires_input()


async def reject(updater: TaskUpdater) -> None:
    raise RejectedError("rejected")


async def only_complete(updater: TaskUpdater) -> None:
    await updater.complete()


async def take_long(updater: TaskUpdater) -> None:
    await updater.start_work()
    await asyncio.sleep(LONG_S)
    await updater.complete()


SCENARIOS: dict[str, Scenario] = {
    "tck-complete-task": complete,
    "tck-artifact-text": completed_with(Part(text="Generated text content")),
    "tck-artifact-file-url": completed_with(
        Part(url="https://example.com/output.txt", media_type="text/plain", filename="output.txt")
    ),
    "tck-artifact-file": completed_with(file()),
    "tck-artifact-data": completed_with(Part(data=Parse('{"key": "value", "count": 42}', Value()))),
    "tck-input-required": wait_for_input,
    "tck-reject-task": reject,
    "tck-stream-001": streamed(Part(text="Stream hello from TCK")),
    "tck-stream-002": only_complete,
    "tck-stream-003": streamed(Part(text="Stream task lifecycle")),
    "tck-stream-ordering-001": streamed(Part(text="Ordered output")),
    "tck-stream-artifact-text": streamed(Part(text="Streamed text content")),
    "tck-stream-artifact-file": streamed(file()),
    "tck-stream-artifact-chunked": streamed(Part(text="chunk-1 "), Part(text="chunk-2")),
    "test-resubscribe-message-id": take_long,
}
LONGEST_FIRST = sorted(SCENARIOS, key=len, reverse=True)


class KitExecutor(AgentExecutor):
    """Plays the scenario that a message names; any other message completes."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        message = context.message
        assert message is not None
        assert context.task_id is not None
        assert context.context_id is not None
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        if message.message_id.startswith("tck-message-response"):
            await event_queue.enqueue_event(updater.new_agent_message([Part(text="Direct message response")]))
            return
        if context.current_task is None:
            status = TaskStatus(state=TaskState.TASK_STATE_SUBMITTED)
            status.timestamp.GetCurrentTime()
            task = Task(id=context.task_id, context_id=context.context_id, status=status, history=[message])
            await event_queue.enqueue_event(task)
        named = next((one for one in LONGEST_FIRST if message.message_id.startswith(one)), "tck-complete-task")
        await SCENARIOS[named](updater)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id is not None
        assert context.context_id is not None
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()
