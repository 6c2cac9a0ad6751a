"""One task at one A2A agent, from the first message to its end: its questions answered, its cancelling passed on."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog

from coalesced.gateway.a2a.buying.agent import Agent
from coalesced.gateway.a2a.buying.card import ReadCard
from coalesced.gateway.a2a.buying.exchange import OVERHEAD_BYTES, STOPPED, WAITS, message, said_in, state_of, task_in
from coalesced.gateway.a2a.buying.wire import AgentError

log = structlog.get_logger()

FIRST_POLL_S, MOST_POLL_S = 0.05, 2.0
FOLLOWED_AFTER_S: Final = 0.2
"""The pause between two looks from which on an agent's stream is followed instead: most small tasks end before."""
CANCEL_S: Final = 2.0
MAX_QUESTIONS: Final = 8
NO_WORDS: Final = "the agent asks for something, without saying what"


@dataclass(slots=True)
class Errand:
    """One task at one agent."""

    agent: Agent
    card: ReadCard
    most_bytes: int
    """Of its result."""
    timeout_s: float
    """Of each call; who runs the errand bounds the whole."""
    question: Callable[[str], Awaitable[str]]
    progress: Callable[[str], None]
    task_id: str = ""
    sending: asyncio.Future[dict[str, Any]] | None = None
    """The last message's answer, which is waited for even where the task is cut short meanwhile."""

    async def run(
        self, parts: list[dict[str, Any]], economics: dict[str, str] | None = None, *, task_id: str = ""
    ) -> dict[str, Any]:
        """The task as it is when the agent does no more; AgentError when that cannot be found out."""
        task = await self._say(parts, economics, task_id=task_id)
        for _ in range(MAX_QUESTIONS):
            task = await self._stopped(task)
            if state_of(task) != WAITS:
                break
            answer = await self.question(said_in(task) or NO_WORDS)
            task = await self._say([{"text": answer}], None, task_id=self.task_id)
        return task

    async def cancel(self) -> None:
        """Tell the agent that nobody waits any more, if it can be told soon."""
        if not self.task_id and self.sending is not None:
            # It has the message, and only its answer says what the task is called there.
            with suppress(AgentError, TimeoutError):
                async with asyncio.timeout(CANCEL_S):
                    self.task_id = str(task_in(await self.sending)["id"])
        if self.task_id:
            await told_to_cancel(self.agent, self.card, self.task_id)

    async def _say(
        self, parts: list[dict[str, Any]], economics: dict[str, str] | None, *, task_id: str
    ) -> dict[str, Any]:
        told = message(parts, skill=self.agent.skill_id, economics=economics, task_id=task_id)
        told["configuration"] = {"returnImmediately": True}
        self.task_id = task_id
        self.sending = asyncio.ensure_future(self._call("SendMessage", told))
        task = task_in(await asyncio.shield(self.sending))
        self.task_id = str(task["id"])
        return task

    async def _stopped(self, task: dict[str, Any]) -> dict[str, Any]:
        """The task once it has ended, or asks; with all that it holds."""
        wait_s, is_followed = FIRST_POLL_S, not self.card.streams
        while state_of(task) not in STOPPED:
            if wait_s >= FOLLOWED_AFTER_S and not is_followed:
                is_followed = True
                with suppress(AgentError):  # A stream that breaks, or ended before it was asked for, is no loss.
                    await self._follow()
            else:
                await asyncio.sleep(wait_s)
                wait_s = min(MOST_POLL_S, 2 * wait_s)
            task = task_in(await self._call("GetTask", {"id": self.task_id}))
        return task

    async def _follow(self) -> None:
        """Hear what the agent tells of the task until it does no more."""
        params = {"id": self.task_id}
        async with self.agent.wire.stream(self.card, "SubscribeToTask", params, self._most, self.timeout_s) as events:
            async for event in events:
                told = event.get("statusUpdate", event.get("task"))
                if isinstance(told, dict) and isinstance(told.get("status"), dict):
                    if state_of(told) in STOPPED:
                        return
                    if text := said_in(told):
                        self.progress(text)

    async def _call(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        return await self.agent.wire.call(self.card, operation, params, self._most, self.timeout_s)

    @property
    def _most(self) -> int:
        """Bytes of an answer: a result in base64, with what is around it."""
        return 2 * self.most_bytes + OVERHEAD_BYTES


async def told_to_cancel(agent: Agent, card: ReadCard, task_id: str) -> None:
    """Tell an agent that a task is not wanted any more, if it can be told soon."""
    try:
        await agent.wire.call(card, "CancelTask", {"id": task_id}, OVERHEAD_BYTES, CANCEL_S)
    except AgentError as error:
        log.info("a2a.agent_not_told", agent=agent.url, error=str(error))
