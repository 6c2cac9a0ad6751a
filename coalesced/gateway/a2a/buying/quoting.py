"""An agent's own price for a task, asked for by the economics extension and signed by its card's key; and the order."""

from dataclasses import dataclass
from typing import Any, Final

from coalesced.gateway.a2a.buying.agent import Agent
from coalesced.gateway.a2a.buying.card import ReadCard
from coalesced.gateway.a2a.buying.exchange import (
    OVERHEAD_BYTES,
    WAITS,
    economics_in,
    message,
    said_in,
    state_of,
    task_in,
)
from coalesced.gateway.a2a.buying.wire import AgentError
from coalesced.gateway.a2a.economics import QuoteTerms, contract, read
from coalesced.gateway.a2a.shared import micro_of
from crypto.identity import Identity, did_key

LONGEST_S: Final = 3600.0
"""No price binds for longer."""
AGREED: Final[list[dict[str, Any]]] = [{"text": "agreed"}]
"""What is said with a contract: the agent has had the input since it was asked for a quote."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """A price that binds the agent."""

    terms: QuoteTerms
    token: str
    price_micro: int

    @property
    def lifetime_s(self) -> float:
        """How long it was given for."""
        return (self.terms.expires_unix_ms - self.terms.issued_unix_ms) / 1000


def names_prices(card: ReadCard) -> bool:
    """Whether the agent gives quotes that can be held against it."""
    return card.has_prices and card.signer is not None


async def quoted(
    agent: Agent, card: ReadCard, parts: list[dict[str, Any]], own_key: bytes, *, timeout_s: float
) -> Quoted:
    """The agent's price for a task with that input; AgentError and EconomicsError for none that can be used."""
    told = message(parts, skill=agent.skill_id, economics={"want": "quote"})
    task = task_in(await agent.wire.call(card, "SendMessage", told, OVERHEAD_BYTES, timeout_s))
    token = economics_in(task["status"].get("message")).get("quote")
    if state_of(task) != WAITS or token is None:
        raise AgentError(f"it gave no quote: {said_in(task)[:200]}")
    terms, _ = read(QuoteTerms, token, card.signer)
    try:
        found = Quoted(terms, str(token), micro_of(terms.price_usd))
    except ValueError as error:
        raise AgentError(f"its quote cannot be used: {error}") from error
    if terms.task_id != task["id"] or terms.skill != agent.skill_id or not 0 < found.lifetime_s <= LONGEST_S:
        raise AgentError("its quote is for something else, or for no time")
    if terms.client not in (did_key(own_key), "") and not agent.wire.token:
        raise AgentError("its quote is made out to somebody else")
    return found


def agreed(identity: Identity, quote: Quoted, *, now_unix_ms: int) -> dict[str, str]:
    """The contract over a quote, as metadata of the message that orders the work."""
    return {"contract": contract(identity, quote.token, quote.terms, now_unix_ms=now_unix_ms)}
