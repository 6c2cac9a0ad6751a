"""Telling others of agents that are no nodes: where their cards are, in the DHT, while those are in order."""

import asyncio
from typing import Final

import aiohttp
import structlog

from coalesced.gateway.a2a.buying.agent import Agent
from coalesced.gateway.a2a.buying.card import CardError
from coalesced.gateway.a2a.buying.wire import AgentError
from coalesced.gateway.a2a.config import A2aAnnounced, A2aSeller
from dht.errors import DhtError
from dht.ids import card_key
from node.daemon import Parts
from protocol.cardpost import CardPost, encode_card_post
from protocol.errors import LocalProtocolError

log = structlog.get_logger()

LOOK_S: Final = 600.0
"""Between two looks at a card that is in order."""
AGAIN_S: Final = 30.0
"""And at one that is not: its agent may be starting."""
TIMEOUT_S: Final = 10.0


async def announce(announced: A2aAnnounced, parts: Parts, *, look_s: float = LOOK_S, again_s: float = AGAIN_S) -> None:
    """Publish where an agent's card is whenever it can be used, and withdraw it when it cannot, for ever."""
    key = card_key(parts.network, announced.skill)
    seller = A2aSeller(card=announced.card, skill=announced.skill, agent_skill=announced.agent_skill)
    is_out = False
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        while True:
            # Made anew each time: a card is to be read again.
            agent = Agent.made(seller, http, parts.identity, parts.env.unix_ms)
            try:
                await agent.known(TIMEOUT_S)
                if not is_out:
                    post = CardPost(skill=announced.skill, url=announced.card, agent_skill=announced.agent_skill)
                    held = await parts.sources.publish(key, encode_card_post(post))
                    is_out = True
                    log.info("a2a.announced", card=announced.card, skill=announced.skill, holders=held)
            except (AgentError, CardError, LocalProtocolError, DhtError) as error:
                log.warning("a2a.not_announced", card=announced.card, skill=announced.skill, why=str(error))
                if is_out:
                    await parts.sources.withdraw(key)
                    is_out = False
            await asyncio.sleep(look_s if is_out else again_s)
