"""Whom to ask for a quote, and where; and what it says of itself."""

from dataclasses import dataclass, field

from crypto.identity import short_id
from node.net.endpoint import Endpoint
from protocol.messages import Advert


@dataclass(frozen=True, slots=True)
class Seller:
    """Someone who advertises the skill. `expires_unix_ms` is its advert's: who is alive publishes later ones."""

    key: bytes
    endpoint: Endpoint
    expires_unix_ms: int = field(default=0, compare=False)

    @property
    def name(self) -> str:
        """How a person names it."""
        return short_id(self.key)


@dataclass(frozen=True, slots=True)
class Listing:
    """An advert and who published it."""

    seller: Seller
    advert: Advert
    expires_unix_ms: int
    source: str
    """Who showed it: the DHT, a registry, the cache."""
