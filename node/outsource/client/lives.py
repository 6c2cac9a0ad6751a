"""The life of a task of this node's owner, from its row to its end: single tasks, plans, steps."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog

from node.env import Env
from node.errors import CANCELLED, NodeError, RefusedError, UsageError
from node.outsource.client.outcome import Done, Question
from node.outsource.client.request import Ask
from node.outsource.client.running import Running
from node.outsource.expenses import Expenses
from node.outsource.tasklog import TaskLog
from node.store.blobs import Blobs
from node.store.tasks import TaskChange, TaskRow, Tasks
from node.tasks.lifecycle import TaskState

log = structlog.get_logger()


class Lives:
    """Opens tasks, and writes down how they ended. Holds nothing of a task: one instance serves all."""

    def __init__(
        self, *, env: Env, running: Running, expenses: Expenses, log_: TaskLog, tasks: Tasks, blobs: Blobs
    ) -> None:
        self._env = env
        self._running = running
        self._expenses = expenses
        self._log = log_
        self._tasks = tasks
        self._blobs = blobs

    async def open(
        self, ask: Ask, idempotency_key: str = "", *, parent_id: bytes | None = None, node_name: str | None = None
    ) -> tuple[TaskRow, bool]:
        """Store a task with its input; or the one that has its idempotency key already, and False."""
        now = self._env.unix_ms()
        row = TaskRow(
            task_id=ask.task_id,
            role="client",
            specification=ask.encoded,
            skill=ask.skill,
            created_unix_ms=now,
            deadline_unix_ms=now + ask.specification.constraints.deadline_ms,
            idempotency_key=idempotency_key or None,
            parent_id=parent_id,
            node_name=node_name,
        )
        # The input first: where there is no room for it, there is no task either.
        await self._blobs.put(ask.task_id, "input", ask.content.data, ask.content.media_type)
        is_new = False
        try:
            row, is_new = await self._log.open(row)
        except asyncio.CancelledError:
            # What was queued is written all the same; a task that nothing runs must not look as if it were to come.
            with suppress(UsageError):
                await asyncio.shield(self._fail(ask.task_id, CANCELLED, "cancelled"))
            raise
        finally:
            if not is_new:
                await self._blobs.finish(ask.task_id, now)
        return row, is_new

    async def settled(self, task_id: bytes, course: Coroutine[Any, Any, Done]) -> Done:
        """The end of a course, once it is written down; with what it spent in all, whatever its end."""
        try:
            done = await course
            spent_micro = await self._expenses.spent_micro(task_id)
            done = replace(done, charged_micro=max(0, spent_micro - done.paid_micro))
            await self._complete(task_id, done)
        except asyncio.CancelledError:
            await asyncio.shield(self._fail(task_id, CANCELLED, "cancelled"))
            raise
        except NodeError as error:
            is_refusal = isinstance(error, RefusedError)
            error.spent_micro = await self._fail(task_id, error.code, str(error), is_refusal=is_refusal)
            raise
        except Exception as error:
            # The edge of one task: a bug in it must neither end the daemon nor leave its owner waiting.
            log.exception("task.crashed", task=task_id.hex()[:8])
            crash = NodeError(f"task {task_id.hex()[:8]} ended by an internal error")
            text = "an internal error ended this task; the node's log says more"
            crash.spent_micro = await self._fail(task_id, "internal", text)
            raise crash from error
        return done

    async def _complete(self, task_id: bytes, done: Done) -> None:
        content = done.content
        sha256 = await self._blobs.put_last(task_id, content.data, content.media_type, self._env.unix_ms())
        change = TaskChange(result_sha256=sha256, result_media_type=content.media_type, paid_micro=done.paid_micro)
        text = f"{len(content.data)} bytes of {content.media_type}"
        await self._log.end(
            task_id, "completed", text, change, cost_micro=done.cost_micro, result_bytes=len(content.data)
        )

    async def _fail(self, task_id: bytes, code: str, text: str, *, is_refusal: bool = False) -> int:
        """End a task without a result; what it spent all the same."""
        row = await self._tasks.get(task_id)
        state: TaskState = "rejected" if is_refusal and row.state == "submitted" else "failed"
        if code == CANCELLED:
            state = "cancelled"
        await self._blobs.finish(task_id, self._env.unix_ms())
        spent_micro = await self._expenses.spent_micro(task_id)
        change = TaskChange(error_code=code, error_text=text)
        await self._log.end(task_id, state, text, change, cost_micro=spent_micro or None)
        return spent_micro

    def question(self, task_id: bytes) -> Question:
        async def ask(question: str) -> str:
            await self._log.move(task_id, "input-required")
            await self._log.note(task_id, "input_required", question, question=question)
            try:
                return await self._running.question(task_id)
            finally:
                # Also when nobody needs the answer any more: the contractor went on, or gave up.
                await self._log.move(task_id, "working")

        return ask
