"""One A2A agent, and what is known of it."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from coalesced.gateway.a2a.buying.card import ReadCard, read_card
from coalesced.gateway.a2a.buying.wire import Wire
from coalesced.gateway.a2a.config import A2aSeller
from crypto.identity import Identity, parse_did_key

WELL_KNOWN: Final = "/.well-known/agent-card.json"
CARD_S: Final = 300.0
"""How long a card that was read is believed to be current."""


def card_address(url: str) -> str:
    """Where a card is: an address without a path means the well-known one there."""
    return url if urlsplit(url).path.strip("/") else url.rstrip("/") + WELL_KNOWN


@dataclass(slots=True)
class Agent:
    """One agent, and its card as last read."""

    config: A2aSeller
    url: str
    wire: Wire
    card: ReadCard | None = None
    read_at_s: float = 0.0
    publishers: frozenset[bytes] | None = None
    """Who says in the DHT that it is there; None: the owner does, in the configuration."""

    @classmethod
    def made(
        cls,
        config: A2aSeller,
        session: aiohttp.ClientSession,
        identity: Identity,
        unix_ms: Callable[[], int],
        *,
        token: str = "",
    ) -> "Agent":
        """An agent whose card nobody has read yet; without a token, requests to it are signed."""
        return cls(config, card_address(config.card), Wire(session, identity, token, unix_ms))

    @property
    def skill_id(self) -> str:
        """What its card calls the skill."""
        return self.config.agent_skill or self.config.skill

    @property
    def key(self) -> bytes:
        """What its history is kept under: its node key if it is known by one, else a name made of its address.

        One that was found is known by the key of its card only where the same key published where it is.
        """
        signer = self.card.signer if self.card is not None else None
        if signer is not None and (self.publishers is None or signer in self.publishers):
            return signer
        return hashlib.sha256(b"coalesced a2a agent\0" + self.url.encode()).digest()

    async def known(self, timeout_s: float) -> ReadCard:
        """Its card, read again when it is old. AgentError, CardError."""
        now_s = asyncio.get_running_loop().time()
        if self.card is None or now_s - self.read_at_s > CARD_S:
            key = parse_did_key(self.config.key) if self.config.key else None
            found = await self.wire.card(self.url, timeout_s)
            self.card = read_card(found, where=self.url, skill_id=self.skill_id, key=key)
            self.read_at_s = now_s
        return self.card
