"""Whom to ask for a quote, and where."""

from dataclasses import dataclass, field

from crypto.identity import short_id
from node.net.endpoint import Endpoint


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
