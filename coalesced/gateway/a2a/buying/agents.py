"""A2A agents as sellers, those of the configuration and those found: their offers, and work at them to the result."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import structlog

from coalesced.gateway.a2a.buying.agent import Agent
from coalesced.gateway.a2a.buying.card import CardError, ReadCard
from coalesced.gateway.a2a.buying.course import Course
from coalesced.gateway.a2a.buying.errand import told_to_cancel
from coalesced.gateway.a2a.buying.exchange import parts_of
from coalesced.gateway.a2a.buying.found import FoundAgents
from coalesced.gateway.a2a.buying.quoting import LONGEST_S, names_prices, quoted
from coalesced.gateway.a2a.buying.wire import AgentError
from coalesced.gateway.a2a.config import A2aConfig, A2aSeller
from coalesced.gateway.a2a.economics import EconomicsError
from crypto.identity import Identity
from node.background import completed
from node.env import Env
from node.errors import UsageError
from node.execute.openai.credentials import key_from_file
from node.market.quotes import hold_received
from node.net.endpoint import Endpoint
from node.outsource.client.agents import AgentJob, AgentOffer, AgentWork, FoundCard, Withheld
from node.outsource.client.hiring import Fault
from node.outsource.client.offers import NoOffer, Offer
from node.outsource.client.request import Ask
from node.outsource.client.seller import Seller
from protocol import signed
from protocol.messages import Quote

log = structlog.get_logger()

MAX_TELLING: Final = 64
"""Agents that are told at the same time that their quotes are not taken; beyond it quotes just run out."""
CHECK_TIMEOUT_S: Final = 7.0
HELD: Final = "security"
"""The code of an agent that may not see the input."""
P95_FACTOR: Final = 3
"""Between what is expected of an agent that nobody has measured, and what it takes at worst."""


class A2aAgents:
    """Buys from A2A agents. Use it as a context."""

    def __init__(
        self,
        config: A2aConfig,
        identity: Identity,
        env: Env,
        *,
        network: str,
        output_type: Callable[[str], str],
    ) -> None:
        """`output_type`: the media type that a skill's results have, if this node knows the skill."""
        self._identity = identity
        self._env = env
        self._network = network
        self._output_type = output_type
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        self._agents = [self._made(one) for one in config.sellers]
        self._found = FoundAgents(config, identity, env.unix_ms)
        self._telling: set[asyncio.Task[None]] = set()

    def _made(self, seller: A2aSeller) -> Agent:
        token = _first_line(seller.token_file) if seller.token_file else ""
        return Agent.made(seller, self._session, self._identity, self._env.unix_ms, token=token)

    async def __aenter__(self) -> "A2aAgents":
        return self

    async def __aexit__(self, *_: object) -> None:
        telling = list(self._telling)
        for one in telling:
            one.cancel()
        await asyncio.gather(*telling, return_exceptions=True)
        await self._session.close()
        await self._found.close()

    # --- offers

    @property
    def looks(self) -> bool:
        """Whether agents that are found are candidates too."""
        return self._found.is_on

    async def offers(
        self, ask: Ask, *, timeout_s: float, withheld: Withheld, found: Sequence[FoundCard] = ()
    ) -> tuple[list[AgentOffer], list[NoOffer]]:
        """A price of each agent that does this skill, or why it has none."""
        asked = [agent for agent in self._agents if agent.config.skill == ask.skill]
        asked += self._found.of(ask.skill, found, besides={agent.url for agent in asked})
        answers = await asyncio.gather(*(self._offer(agent, ask, timeout_s, withheld) for agent in asked))
        return (
            [one for one in answers if isinstance(one, AgentOffer)],
            [one for one in answers if isinstance(one, NoOffer)],
        )

    async def _offer(self, agent: Agent, ask: Ask, timeout_s: float, withheld: Withheld) -> AgentOffer | NoOffer:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(timeout_s):
                await self._found.check(agent)
                card = await agent.known(timeout_s)
                if agent.config.price_micro is not None:
                    duration_ms = round(agent.config.duration_s * 1000)
                    terms = self._terms(agent, ask, agent.config.price_micro, duration_ms, LONGEST_S)
                    return self._made_offer(agent, terms, loop.time() - began)
                # Its own price is made of the input, which it gets with the question.
                if reason := _unseen(agent, ask) or await withheld(agent.key, agent.config.regions):
                    return NoOffer(
                        _seller(agent), f"not asked its price, which would show it the input: {reason}", HELD
                    )
                return await self._quoted(agent, card, ask, timeout_s)
        except TimeoutError:
            return NoOffer(_seller(agent), f"no answer within {timeout_s:g} s")
        except (AgentError, CardError, EconomicsError, ValueError) as error:
            return NoOffer(_seller(agent), f"{agent.url}: {error}")

    async def _quoted(self, agent: Agent, card: ReadCard, ask: Ask, timeout_s: float) -> AgentOffer:
        """The agent's own signed price."""
        if not names_prices(card):
            raise AgentError("it names no signed prices, and none is configured (price_micro)")
        loop = asyncio.get_running_loop()
        began = loop.time()
        quote = await quoted(agent, card, parts_of(ask.content), self._identity.public_key, timeout_s=timeout_s)
        told = quote.terms
        terms = self._terms(agent, ask, quote.price_micro, told.duration_ms, quote.lifetime_s, p95_ms=told.p95_ms)
        return self._made_offer(agent, terms, loop.time() - began, token=quote.token, order=told.task_id)

    def _terms(
        self, agent: Agent, ask: Ask, price_micro: int, duration_ms: int, lifetime_s: float, *, p95_ms: int = 0
    ) -> signed.QuoteTerms:
        """What the decision compares, in the form of a peer's quote; nobody signed it."""
        now = self._env.unix_ms()
        return signed.QuoteTerms(
            quote_id=self._env.entropy(16),
            task_id=ask.task_id,
            specification_sha256=ask.specification_sha256,
            network=self._network,
            client=self._identity.public_key,
            contractor=agent.key,
            skill=ask.skill,
            effort=ask.specification.effort,
            price_micro=price_micro,
            duration_ms=duration_ms,
            p95_ms=max(p95_ms, duration_ms) if p95_ms else P95_FACTOR * duration_ms,
            success_ppm=agent.config.success_ppm,
            issued_unix_ms=now,
            expires_unix_ms=now + round(lifetime_s * 1000),
        )

    def _made_offer(
        self, agent: Agent, terms: signed.QuoteTerms, rtt_s: float, *, token: str = "", order: str = ""
    ) -> AgentOffer:
        return AgentOffer(
            _seller(agent),
            Quote(terms=b"", signature=b""),
            hold_received(terms, self._env.unix_ms()),
            rtt_s,
            address=agent.url,
            token=token,
            order=order,
            regions=agent.config.regions,
        )

    def checks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """By skill and address of each that is configured, what sees that it is in order."""
        return {f"{one.config.skill} at {one.url}": partial(self._in_order, one) for one in self._agents}

    async def _in_order(self, agent: Agent) -> None:
        """UsageError unless the agent's card can be read now, and its price is known."""
        if agent.config.token_file:
            _check_token_file(agent.config.token_file)
        agent.read_at_s = float("-inf")
        try:
            card = await agent.known(CHECK_TIMEOUT_S)
        except (AgentError, CardError) as error:
            raise UsageError(str(error)) from error
        if agent.config.price_micro is None and not names_prices(card):
            raise UsageError("it names no signed prices, and none is configured: set price_micro")

    # --- work

    async def work(self, job: AgentJob) -> AgentWork | Fault:
        """Have an agent do a task; it is told when nobody waits for it any more."""
        agent = self._of(job.offer)
        if agent is None or agent.card is None:
            return Fault("failed", "it is not configured any more")
        course = Course.of(self._identity, self._env, agent, agent.card, job, self._output_type(job.ask.skill))
        try:
            async with asyncio.timeout(job.remaining_s):
                return await course.run()
        except TimeoutError:
            await course.cancel()
            text = f"nothing was delivered within {job.remaining_s:.1f} s"
            return Fault("timeout", text, may_bill=not course.contract)
        except asyncio.CancelledError:
            await completed(course.cancel())
            raise
        except AgentError as error:
            was_taken = bool(course.errand.task_id) or not error.is_refusal
            return Fault("failed", str(error), may_bill=was_taken and not course.contract)
        except EconomicsError as error:
            return Fault("invalid", str(error))

    def release(self, offers: Iterable[Offer]) -> None:
        """Cancel the tasks that were only quoted: an agent holds each for its caller, and holds few for one."""
        for offer in offers:
            if isinstance(offer, AgentOffer) and offer.order and len(self._telling) < MAX_TELLING:
                agent = self._of(offer)
                if agent is not None and agent.card is not None:
                    telling = asyncio.create_task(told_to_cancel(agent, agent.card, offer.order))
                    self._telling.add(telling)
                    telling.add_done_callback(self._telling.discard)

    def _of(self, offer: AgentOffer) -> Agent | None:
        candidates = (one for one in (*self._agents, *self._found.known) if one.config.skill == offer.terms.skill)
        return next((one for one in candidates if one.url == offer.address), None)


def _unseen(agent: Agent, ask: Ask) -> str:
    """Why an agent may see nothing before it is hired; empty when it may. Anybody can publish a card, to read along."""
    privacy = ask.specification.constraints.privacy
    if agent.publishers is None or privacy == "public":
        return ""
    return f"it was found, not named by the owner, and the task is {privacy}"


def _seller(agent: Agent) -> Seller:
    parts = urlsplit(agent.url)
    return Seller(agent.key, Endpoint(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)))


def _check_token_file(name: str) -> None:
    """UsageError unless it holds a token and nobody else can read it."""
    key_from_file(Path(name).absolute())


def _first_line(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8").splitlines()[0].strip()
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise UsageError(f"a2a.sellers: token_file {name} cannot be read: {error}") from error
