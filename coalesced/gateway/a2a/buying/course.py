"""One task that was decided to go to one A2A agent: under its contract, to a result that may be judged."""

import hashlib
from dataclasses import dataclass
from typing import Any

from coalesced.gateway.a2a.buying.agent import Agent
from coalesced.gateway.a2a.buying.card import ReadCard
from coalesced.gateway.a2a.buying.errand import Errand
from coalesced.gateway.a2a.buying.exchange import (
    artifacts_of,
    content_of,
    economics_in,
    left_as,
    parts_of,
    state_of,
)
from coalesced.gateway.a2a.buying.quoting import AGREED
from coalesced.gateway.a2a.economics import EconomicsError, QuoteTerms, ReceiptTerms, contract, digest, read
from coalesced.gateway.a2a.shared import micro_of
from crypto.identity import Identity
from node.env import Env
from node.outsource.client.agents import AgentJob, AgentWork
from node.outsource.client.hiring import Fault

COMPLETED = "TASK_STATE_COMPLETED"
UNTOUCHED = frozenset({"TASK_STATE_REJECTED", "TASK_STATE_AUTH_REQUIRED"})
"""Nothing was done yet that could be billed."""


@dataclass(slots=True)
class Course:
    """One order at one agent."""

    identity: Identity
    env: Env
    card: ReadCard
    job: AgentJob
    media_type: str
    errand: Errand
    contract: str = ""

    @classmethod
    def of(cls, identity: Identity, env: Env, agent: Agent, card: ReadCard, job: AgentJob, media_type: str) -> "Course":
        """The order for a job."""
        most_bytes = job.ask.specification.output.max_bytes
        errand = Errand(
            agent, card, most_bytes, job.remaining_s, job.question, progress=lambda text: job.progress(0, text)
        )
        return cls(identity, env, card, job, media_type, errand)

    async def run(self) -> AgentWork | Fault:
        """From the first message to the result."""
        ask, offer = self.job.ask, self.job.offer
        economics: dict[str, str] | None = None
        if offer.token:
            terms, _ = read(QuoteTerms, offer.token)
            self.contract = contract(self.identity, offer.token, terms, now_unix_ms=self.env.unix_ms())
            economics = {"contract": self.contract}
        parts = AGREED if offer.token else parts_of(ask.content)
        task = await self.errand.run(parts, economics, task_id=offer.order)
        if state_of(task) != COMPLETED:
            was_taken = state_of(task) not in UNTOUCHED
            return Fault("failed", left_as(task), may_bill=was_taken and not self.contract)
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
        """Tell the agent that nobody waits any more."""
        await self.errand.cancel()
