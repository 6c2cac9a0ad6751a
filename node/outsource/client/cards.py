"""Agents that are no nodes, looked for: where others say that their cards are."""

from collections.abc import Callable
from typing import Final

import structlog

from dht.ids import card_key
from node.outsource.client.agents import FoundCard
from node.registry.sources import Sources
from protocol.cardpost import decode_card_post
from protocol.errors import RemoteProtocolError

log = structlog.get_logger()

MAX_FOUND: Final = 8
"""Cards of one skill that are read: each is a request to a stranger's machine."""


class Cards:
    """Looks for them under their own key of each skill."""

    def __init__(
        self, *, own_key: bytes, network: str, sources: Sources, is_blocked: Callable[[bytes], bool], timeout_s: float
    ) -> None:
        self._own_key = own_key
        self._network = network
        self._sources = sources
        self._is_blocked = is_blocked
        self._timeout_s = timeout_s

    async def of(self, skill: str, *, timeout_s: float, thorough: bool = False) -> tuple[FoundCard, ...]:
        """The first that are found; each address once for each who names it, none that this node itself published.

        `thorough`: see `Discovery.find`.
        """
        limit_s = min(timeout_s, self._timeout_s)
        looked = await self._sources.look(card_key(self._network, skill), timeout_s=limit_s, thorough=thorough)
        found: list[FoundCard] = []
        for record in looked.records:
            if record.public_key == self._own_key or self._is_blocked(record.public_key):
                continue
            try:
                post = decode_card_post(record.body)
            except RemoteProtocolError as error:
                log.info("card.ignored", error=str(error))
                continue
            if post.skill == skill:
                found.append(FoundCard(post.url, post.agent_skill or skill, record.public_key))
        return tuple(found[:MAX_FOUND])
