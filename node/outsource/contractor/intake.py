"""Inputs that arrive in parts, and answers to questions, matched to the job that waits for them."""

import asyncio
from dataclasses import dataclass, field

from node.net.errors import Refusal
from protocol.messages import Answer, InputPart


@dataclass(slots=True)
class _Waiting:
    """One running job's open ends. The key is the client's: nobody else can feed or answer it."""

    client: bytes
    expected_bytes: int
    received: bytearray = field(default_factory=bytearray)
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    answer: asyncio.Future[str] | None = None


class Intake:
    """The open ends of all running jobs. Bounded by the number of running jobs and by each one's stated size."""

    def __init__(self) -> None:
        self._jobs: dict[bytes, _Waiting] = {}

    def __contains__(self, task_id: bytes) -> bool:
        return task_id in self._jobs

    def open(self, task_id: bytes, client: bytes, expected_bytes: int) -> None:
        """Expect input and answers for this job; Refusal when the task is already being worked on."""
        if task_id in self._jobs:
            raise Refusal("duplicate", "this task is already being worked on here")
        self._jobs[task_id] = _Waiting(client, expected_bytes)

    def close(self, task_id: bytes) -> None:
        """The job has ended."""
        waiting = self._jobs.pop(task_id, None)
        if waiting and waiting.answer and not waiting.answer.done():
            waiting.answer.cancel()

    def add(self, client: bytes, part: InputPart) -> None:
        """Take one part, in order; Refusal when it is unexpected, out of order or too much."""
        waiting = self._of(part.task_id, client)
        if part.offset != len(waiting.received):
            raise Refusal("bad_part", f"the part starts at {part.offset}, expected {len(waiting.received)}")
        if part.offset + len(part.data) > waiting.expected_bytes:
            raise Refusal("too_large", f"the input is longer than the {waiting.expected_bytes} bytes announced")
        waiting.received += part.data
        if len(waiting.received) == waiting.expected_bytes:
            waiting.complete.set()

    async def whole_input(self, task_id: bytes) -> bytes:
        """The input, once all its parts are here."""
        waiting = self._jobs[task_id]
        await waiting.complete.wait()
        return bytes(waiting.received)

    async def next_answer(self, task_id: bytes) -> str:
        """The client's next answer."""
        waiting = self._jobs[task_id]
        waiting.answer = asyncio.get_running_loop().create_future()
        return await waiting.answer

    def answer(self, client: bytes, answer: Answer) -> None:
        """Hand over an answer; Refusal when nobody asked."""
        waiting = self._of(answer.task_id, client)
        if waiting.answer is None or waiting.answer.done():
            raise Refusal("no_question", "this task is not waiting for an answer")
        waiting.answer.set_result(answer.text)

    def _of(self, task_id: bytes, client: bytes) -> _Waiting:
        waiting = self._jobs.get(task_id)
        if waiting is None or waiting.client != client:
            raise Refusal("unknown_task", "no job of yours with this task id is running here")
        return waiting
