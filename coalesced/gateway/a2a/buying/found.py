"""Agents whose cards others publish in the DHT: strangers at addresses that strangers name."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from coalesced.gateway.a2a.addresses import connector, url_check
from coalesced.gateway.a2a.buying.agent import Agent, card_address
from coalesced.gateway.a2a.buying.wire import AgentError
from coalesced.gateway.a2a.config import A2aConfig, A2aSeller
from crypto.identity import Identity
from node.outsource.client.agents import FoundCard

MAX_KNOWN: Final = 256
"""Whose cards are remembered; the one longest unseen goes first."""


class FoundAgents:
    """Makes sellers of cards that were found. Connections are opened to public addresses only."""

    def __init__(self, config: A2aConfig, identity: Identity, unix_ms: Callable[[], int]) -> None:
        self._config = config
        self._identity = identity
        self._unix_ms = unix_ms
        self._check = url_check(allow_private=config.find_at_private_addresses)
        self._known: OrderedDict[tuple[str, str], Agent] = OrderedDict()
        self._session: aiohttp.ClientSession | None = None

    @property
    def is_on(self) -> bool:
        """Whether the owner lets them be looked for."""
        return self._config.find

    @property
    def known(self) -> Collection[Agent]:
        """Those that were found lately."""
        return self._known.values()

    async def close(self) -> None:
        """Drop every connection."""
        if self._session is not None:
            await self._session.close()

    def of(self, skill: str, found: Sequence[FoundCard], *, besides: Collection[str]) -> list[Agent]:
        """The agents behind the cards, each once; `besides`: addresses that the owner named himself."""
        publishers: dict[tuple[str, str], set[bytes]] = {}
        for one in found:
            url = card_address(one.url)
            if url not in besides:
                publishers.setdefault((url, one.agent_skill), set()).add(one.publisher)
        return [self._agent(skill, url, agent_skill, who) for (url, agent_skill), who in publishers.items()]

    async def check(self, agent: Agent) -> None:
        """AgentError where an agent that was found is at an address that is not to be called."""
        if agent.publishers is None:
            return
        is_open = urlsplit(agent.url).scheme == "https" or self._config.find_at_private_addresses
        if not is_open or not await self._check(agent.url):
            raise AgentError("its address is not one on the open internet, over https")

    def _agent(self, skill: str, url: str, agent_skill: str, publishers: Collection[bytes]) -> Agent:
        config = A2aSeller(
            card=url, skill=skill, agent_skill=agent_skill, price_micro=self._config.found_price_micro.get(skill)
        )
        agent = self._known.pop((url, skill), None)
        if agent is None or agent.config != config:
            agent = Agent.made(config, self._opened(), self._identity, self._unix_ms)
        agent.publishers = frozenset(publishers)
        self._known[url, skill] = agent
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return agent

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=connector(allow_private=self._config.find_at_private_addresses),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session
