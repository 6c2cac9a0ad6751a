"""One task at one A2A agent: from the first message to a result that may be judged."""

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog

from coalesced.gateway.a2a.buying.agent import Agent
from coalesced.gateway.a2a.buying.card import ReadCard
from coalesced.gateway.a2a.buying.exchange import (
    ENDED,
    OVERHEAD_BYTES,
    WAITS,
    artifacts_of,
    content_of,
    economics_in,
    message,
    parts_of,
    said_in,
    state_of,
    task_in,
)
from coalesced.gateway.a2a.buying.wire import AgentError
from coalesced.gateway.a2a.economics import EconomicsError, QuoteTerms, ReceiptTerms, contract, digest, read
from coalesced.gateway.a2a.shared import micro_of
from crypto.identity import Identity
from node.env import Env
from node.outsource.client.agents import AgentJob, AgentWork
from node.outsource.client.hiring import Fault

log = structlog.get_logger()

FIRST_POLL_S, MOST_POLL_S = 0.05, 2.0
CANCEL_S: Final = 2.0
MAX_QUESTIONS: Final = 8


@dataclass(slots=True)
class Course:
    """One task at one agent."""

    identity: Identity
    env: Env
    agent: Agent
    card: ReadCard
    job: AgentJob
    media_type: str
    task_id: str = ""
    contract: str = ""
    sending: asyncio.Future[dict[str, Any]] | None = None
    """The last message's answer, which is waited for even where the task is cut short meanwhile."""

    async def run(self) -> AgentWork | Fault:
        """From the first message to the result."""
        ask, offer = self.job.ask, self.job.offer
        economics: dict[str, str] | None = None
        if offer.token:
            terms, _ = read(QuoteTerms, offer.token)
            self.contract = contract(self.identity, offer.token, terms, now_unix_ms=self.env.unix_ms())
            economics = {"contract": self.contract}
        # Where a quote was given, the agent has the input already.
        parts = [{"text": "agreed"}] if offer.token else parts_of(ask.content)
        task = await self._say(parts, economics, task_id=offer.order)
        for _ in range(MAX_QUESTIONS):
            task = await self._ended(task)
            if state_of(task) != WAITS:
                break
            answer = await self.job.question(said_in(task) or "the agent asks for something, without saying what")
            task = await self._say([{"text": answer}], None, task_id=self.task_id)
        if state_of(task) != "TASK_STATE_COMPLETED":
            return Fault("failed", f"it left the task {state_of(task)[11:40].lower()}: {said_in(task)[:300]}")
        content = content_of(task, self.media_type, ask.specification.output.max_bytes)
        return self._delivered(task, AgentWork(content, offer.terms.price_micro))

    def _delivered(self, task: dict[str, Any], work: AgentWork) -> AgentWork:
        """With what the agent's receipt says, where there was a contract."""
        token = next((found for one in artifacts_of(task) if (found := economics_in(one).get("receipt"))), None)
        if not self.contract or token is None:
            return work
        receipt, _ = read(ReceiptTerms, token, self.card.signer)
        about = (receipt.quote_sha256, receipt.contract_sha256, receipt.result_sha256)
        if about != (
            digest(self.job.offer.token),
            digest(self.contract),
            hashlib.sha256(work.content.data).hexdigest(),
        ):
            raise EconomicsError("its receipt is for something else")
        return AgentWork(work.content, micro_of(receipt.paid_usd), str(token))

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

    async def _ended(self, task: dict[str, Any]) -> dict[str, Any]:
        """The task once it has ended, or asks; with all that it holds."""
        wait_s = FIRST_POLL_S
        while state_of(task) not in ENDED and state_of(task) != WAITS:
            await asyncio.sleep(wait_s)
            wait_s = min(MOST_POLL_S, 2 * wait_s)
            task = task_in(await self._call("GetTask", {"id": self.task_id}))
        return task

    async def _call(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        most_bytes = 2 * self.job.ask.specification.output.max_bytes + OVERHEAD_BYTES
        return await self.agent.wire.call(self.card, operation, params, most_bytes, self.job.remaining_s)


async def told_to_cancel(agent: Agent, card: ReadCard, task_id: str) -> None:
    """Tell an agent that a task is not wanted any more, if it can be told soon."""
    try:
        await agent.wire.call(card, "CancelTask", {"id": task_id}, OVERHEAD_BYTES, CANCEL_S)
    except AgentError as error:
        log.info("a2a.agent_not_told", agent=agent.url, error=str(error))
