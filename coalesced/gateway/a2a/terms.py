"""On what terms a message is served: for nothing by the owner's rule, under a contract, or not, with the reason."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from a2a.types.a2a_pb2 import Message, Task, TaskState

from coalesced.gateway.a2a.config import A2aConfig
from coalesced.gateway.a2a.economics import Agreed, EconomicsError, QuoteTerms, agreement, input_digest, read, sign
from coalesced.gateway.a2a.orders import OrderError, request_of, skill_of
from coalesced.gateway.a2a.shared import ECONOMICS, dollars
from coalesced.gateway.a2a.words import plain
from crypto.identity import Identity, did_key
from node.errors import NodeError
from node.owner.skills import Price
from node.store.a2a import A2aQuery, A2aTasks
from node.views import AskRequest

DAY_MS = 86_400_000
MAX_LOOKED_AT = 1000
"""Waiting tasks of one caller that are looked at in one go."""


@dataclass(frozen=True, slots=True)
class Work:
    """The task is to be done now, for nothing or as `agreed`."""

    request: AskRequest
    agreed: Agreed | None = None


@dataclass(frozen=True, slots=True)
class Offered:
    """The task has a price; `token` is the quote."""

    token: str
    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The task is not done; `text` is for the caller."""

    text: str


class Terms:
    """Decides between the three."""

    def __init__(
        self,
        config: A2aConfig,
        identity: Identity,
        tasks: A2aTasks,
        *,
        offered: Callable[[], tuple[str, ...]],
        price: Callable[[AskRequest], Awaitable[Price]],
        unix_ms: Callable[[], int],
    ) -> None:
        """`offered`: the labels on sale now; `price`: what this node would ask for a task now."""
        self._config = config
        self._identity = identity
        self._tasks = tasks
        self._offered = offered
        self._price = price
        self._unix_ms = unix_ms

    async def of_first(
        self, caller: str, task_id: str, message: Message, metadata: dict[str, Any]
    ) -> Work | Offered | Refused:
        """The terms of a message that begins a task."""
        try:
            skill = skill_of(message, metadata, self._offered())
            if reason := await self._over_quota(caller):
                return Refused(reason)
            if _wants_quote(message, metadata):
                return await self._quoted(caller, task_id, message, skill)
            if skill in self._config.free_skills:
                request = self._request(message, skill, self._config.free_budget_micro, task_id)
                return await self._free_today(caller) or Work(request)
        except OrderError as error:
            return Refused(str(error))
        return Refused(
            f"{skill} is not done for nothing here: ask for a quote, metadata {{{ECONOMICS!r}: {{'want': 'quote'}}}}, "
            "and send the contract over it"
        )

    async def of_answer(self, caller: str, task: Task, message: Message) -> Work | Refused:
        """The terms of a message that answers a quote."""
        quote_token = quote_in(task)
        contract_token = _economics(message).get("contract")
        try:
            agreed = agreement(
                self._identity.public_key,
                quote_token,
                contract_token,
                task_id=task.id,
                caller=caller,
                now_unix_ms=self._unix_ms(),
            )
            first = task.history[0]
            if input_digest(_parts(first)) != agreed.quote.input_sha256:
                return Refused("the quote is for another input")
            return Work(self._request(first, agreed.quote.skill, agreed.price_micro, task.id), agreed)
        except (EconomicsError, OrderError) as error:
            return Refused(str(error))

    def _request(self, message: Message, skill: str, budget_micro: int, task_id: str) -> AskRequest:
        return request_of(
            message,
            skill,
            budget_micro=budget_micro,
            deadline_s=self._config.deadline_s,
            idempotency_key=f"a2a:{task_id}",
        )

    async def _quoted(self, caller: str, task_id: str, message: Message, skill: str) -> Offered | Refused:
        try:
            price = await self._price(self._request(message, skill, 0, task_id))
        except NodeError as error:
            return Refused(f"no price can be named: {error}")
        now = self._unix_ms()
        terms = QuoteTerms(
            task_id=task_id,
            skill=skill,
            input_sha256=input_digest(_parts(message)),
            client=caller,
            contractor=did_key(self._identity.public_key),
            price_usd=dollars(price.price_micro),
            duration_ms=round(price.expected_s * 1000),
            p95_ms=round(price.p95_s * 1000),
            issued_unix_ms=now,
            expires_unix_ms=now + round(self._config.quote_lifetime_s * 1000),
        )
        text = (
            f"{skill} costs {terms.price_usd} US dollars; send the contract within {self._config.quote_lifetime_s:g} s"
        )
        return Offered(sign(self._identity, terms), text)

    async def _over_quota(self, caller: str) -> str:
        """Why nothing more is taken on for this caller now; empty when something is."""
        own, _, everybody = await self._tasks.load_of(caller, 0)
        most = self._config.max_open_tasks_per_caller
        if own >= most and await self._stale_quotes_dropped(caller):
            own, _, everybody = await self._tasks.load_of(caller, 0)
        if own >= most:
            return f"you have {own} open tasks here, the most there may be: let some end, or cancel them"
        if everybody >= self._config.max_open_tasks:
            return f"this agent has {everybody} open tasks, the most it takes on: try again later"
        return ""

    async def _stale_quotes_dropped(self, caller: str) -> bool:
        """Drop the caller's tasks that wait with a quote that binds no longer; whether there were any."""
        query = A2aQuery(owner=caller, state=TaskState.TASK_STATE_INPUT_REQUIRED, limit=MAX_LOOKED_AT)
        rows, _ = await self._tasks.page(query)
        stale = [row.task_id for row in rows if self._is_stale(Task.FromString(row.body))]
        for task_id in stale:
            await self._tasks.delete(caller, task_id)
        return bool(stale)

    def _is_stale(self, task: Task) -> bool:
        token = quote_in(task)
        if token is None:
            return False
        terms, _ = read(QuoteTerms, token, self._identity.public_key)
        return terms.expires_unix_ms <= self._unix_ms()

    async def _free_today(self, caller: str) -> Refused | None:
        _, begun, _ = await self._tasks.load_of(caller, self._unix_ms() - DAY_MS)
        if begun < self._config.free_tasks_per_day:
            return None
        return Refused(f"you began {begun} tasks in 24 hours, the most that are done for nothing: ask for a quote")


def quote_in(task: Task) -> str | None:
    """The quote that a task waits with, if it does."""
    token = _economics(task.status.message).get("quote")
    return token if isinstance(token, str) else None


def _wants_quote(message: Message, metadata: dict[str, Any]) -> bool:
    asked = metadata.get(ECONOMICS)
    return _economics(message).get("want") == "quote" or (isinstance(asked, dict) and asked.get("want") == "quote")


def _economics(message: Message) -> dict[str, Any]:
    found = plain(message.metadata).get(ECONOMICS)
    return found if isinstance(found, dict) else {}


def _parts(message: Message) -> bytes:
    """A message's content as bytes, the same for equal content."""
    encoded: bytes = Message(parts=message.parts).SerializeToString(deterministic=True)
    return encoded
