"""One configured A2A agent, and what is known of it."""

import hashlib
from dataclasses import dataclass

from coalesced.gateway.a2a.buying.card import ReadCard
from coalesced.gateway.a2a.buying.wire import Wire
from coalesced.gateway.a2a.config import A2aSeller


@dataclass(slots=True)
class Agent:
    """One configured agent, and its card as last read."""

    config: A2aSeller
    url: str
    wire: Wire
    card: ReadCard | None = None
    read_at_s: float = 0.0

    @property
    def skill_id(self) -> str:
        """What its card calls the skill."""
        return self.config.agent_skill or self.config.skill

    @property
    def key(self) -> bytes:
        """What its history is kept under: its node key if it is known by one, else a name made of its address."""
        if self.card is not None and self.card.signer is not None:
            return self.card.signer
        return hashlib.sha256(b"coalesced a2a agent\0" + self.url.encode()).digest()
