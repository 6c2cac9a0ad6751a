"""A task's progress on its way into its log."""

import asyncio
from typing import Final

from node.background import Background
from node.outsource.tasklog import TaskLog

STEP_PPM: Final = 10_000
"""Logged when it moved by a hundredth at least: a chatty worker or contractor cannot fill the log."""


class ProgressLog:
    """`put` never waits; `flush` before anything is logged that comes after the progress."""

    def __init__(self, tasks: TaskLog, task_id: bytes, in_background: Background) -> None:
        self._tasks = tasks
        self._task_id = task_id
        self._in_background = in_background
        self._logged_ppm = -STEP_PPM
        self._writing: asyncio.Task[None] | None = None

    def put(self, done_ppm: int, text: str) -> None:
        """Take note of progress; what comes while the last one is being written is passed over."""
        if done_ppm < self._logged_ppm + STEP_PPM or (self._writing is not None and not self._writing.done()):
            return
        self._logged_ppm = done_ppm
        self._writing = self._in_background(self._tasks.note(self._task_id, "progress", text, done_ppm=done_ppm))

    async def flush(self) -> None:
        """Wait until what was put is in the log."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
