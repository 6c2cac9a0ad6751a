"""The SDK's task store over node.db: a task is seen only by the caller who gave it, and goes with its retention."""

import base64
import binascii
from collections.abc import Callable
from typing import Final

import msgspec
from a2a.server.agent_execution.active_task import TERMINAL_TASK_STATES
from a2a.server.context import ServerCallContext
from a2a.server.tasks.push_notification_config_store import (
    PushNotificationConfigStore,
    normalize_push_notification_config,
)
from a2a.server.tasks.task_store import TaskStore
from a2a.types.a2a_pb2 import ListTasksRequest, ListTasksResponse, Task, TaskPushNotificationConfig
from a2a.utils.constants import DEFAULT_LIST_TASKS_PAGE_SIZE
from a2a.utils.errors import InvalidParamsError

from node.errors import UsageError
from node.store.a2a import A2aPush, A2aQuery, A2aTask, A2aTasks

NS_PER_MS: Final = 1_000_000


class NodeTaskStore(TaskStore):
    """Tasks in node.db. Every task that is given out is a fresh copy."""

    def __init__(self, tasks: A2aTasks, unix_ms: Callable[[], int]) -> None:
        self._tasks = tasks
        self._unix_ms = unix_ms

    async def save(self, task: Task, context: ServerCallContext) -> None:
        """Store or replace a task of this caller."""
        now_ms = self._unix_ms()
        has_time = task.status.HasField("timestamp")
        await self._tasks.save(
            A2aTask(
                task_id=task.id,
                owner=context.user.user_name,
                context_id=task.context_id,
                state=task.status.state,
                ended=task.status.state in TERMINAL_TASK_STATES,
                created_unix_ms=now_ms,
                updated_unix_ns=task.status.timestamp.ToNanoseconds() if has_time else now_ms * NS_PER_MS,
                body=task.SerializeToString(),
            )
        )

    async def get(self, task_id: str, context: ServerCallContext) -> Task | None:
        """The task, if it is this caller's."""
        body = await self._tasks.get(context.user.user_name, task_id)
        return None if body is None else Task.FromString(body)

    async def list(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        """A page of this caller's tasks, the last updated first."""
        after_ns = params.status_timestamp_after
        limit = params.page_size or DEFAULT_LIST_TASKS_PAGE_SIZE
        query = A2aQuery(
            owner=context.user.user_name,
            context_id=params.context_id,
            state=params.status,
            since_unix_ns=after_ns.ToNanoseconds() if params.HasField("status_timestamp_after") else None,
            after=_position(params.page_token) if params.page_token else None,
            limit=limit + 1,
        )
        found, total = await self._tasks.page(query)
        shown = found[:limit]
        return ListTasksResponse(
            tasks=[Task.FromString(row.body) for row in shown],
            next_page_token=_token(shown[-1]) if len(found) > limit else "",
            page_size=limit,
            total_size=total,
        )

    async def delete(self, task_id: str, context: ServerCallContext) -> None:
        """Drop a task of this caller."""
        await self._tasks.delete(context.user.user_name, task_id)


def _token(last: A2aTask) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((last.updated_unix_ns, last.task_id))).decode()


def _position(token: str) -> tuple[int, str]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token.encode()), type=tuple[int, str])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise InvalidParamsError("the page token is none of this agent's") from error


class NodePushStore(PushNotificationConfigStore):
    """Where to push news of tasks, in node.db."""

    def __init__(self, tasks: A2aTasks, unix_ms: Callable[[], int]) -> None:
        self._tasks = tasks
        self._unix_ms = unix_ms

    async def set_info(
        self, task_id: str, notification_config: TaskPushNotificationConfig, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        """Store or replace an address."""
        stored = normalize_push_notification_config(task_id, notification_config)
        push = A2aPush(
            task_id=task_id,
            config_id=stored.id,
            owner=context.user.user_name,
            created_unix_ms=self._unix_ms(),
            body=stored.SerializeToString(),
        )
        try:
            await self._tasks.put_push(push)
        except UsageError as error:
            raise InvalidParamsError(str(error)) from error
        return stored

    async def get_info(self, task_id: str, context: ServerCallContext) -> list[TaskPushNotificationConfig]:
        """This caller's addresses of a task."""
        return await self._read(task_id, context.user.user_name)

    async def get_info_for_dispatch(self, task_id: str) -> list[TaskPushNotificationConfig]:
        """Everybody's addresses of a task."""
        return await self._read(task_id, None)

    async def _read(self, task_id: str, owner: str | None) -> list[TaskPushNotificationConfig]:
        return [TaskPushNotificationConfig.FromString(body) for body in await self._tasks.pushes(task_id, owner)]

    async def delete_info(self, task_id: str, context: ServerCallContext, config_id: str | None = None) -> None:
        """Delete an address of this caller's, or all of a task's."""
        await self._tasks.drop_push(context.user.user_name, task_id, config_id)
