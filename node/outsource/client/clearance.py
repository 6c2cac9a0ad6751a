"""What this node knows of sellers for its security budget: what they proved, and where they say they are."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from node.decision.security import PROOFS, Grant
from node.decision.security_config import SecurityConfig
from node.store.examinations import Examinations
from node.store.shown import ShownProofs
from node.views.base import Proof

MAX_SELLERS: Final = 4_096
"""Whose regions are remembered; the one longest unseen goes first, and then says nothing."""


class Clearance:
    """Looked up once a decision."""

    def __init__(self, config: SecurityConfig, shown: ShownProofs, examinations: Examinations) -> None:
        self._config = config
        self._shown = shown
        self._examinations = examinations
        self._regions: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()

    @property
    def grants(self) -> tuple[Grant, ...]:
        """The owner's security budget."""
        return self._config.grants

    def says(self, seller: bytes, regions: tuple[str, ...]) -> None:
        """An advert says where its seller is."""
        self._regions[seller] = regions
        self._regions.move_to_end(seller)
        if len(self._regions) > MAX_SELLERS:
            self._regions.popitem(last=False)

    def regions(self, seller: bytes) -> tuple[str, ...]:
        """Where this seller says that it is."""
        return self._regions.get(seller, ())

    async def shown(self, sellers: Sequence[bytes], now_unix_ms: int) -> dict[bytes, tuple[Proof, ...]]:
        """What each proved to this node, as far as that still counts."""
        since_ms = now_unix_ms - self._config.proof_life_s * 1000
        kept = await self._shown.of(sellers, since_ms, now_unix_ms)
        examined = await self._examinations.of(sellers)
        found: dict[bytes, tuple[Proof, ...]] = {}
        for seller in sellers:
            names = set(kept.get(seller, ()))
            last = examined[seller].attested
            if last is not None and last.holds and last.unix_ms >= since_ms:
                names.add("attestation")
            found[seller] = tuple(proof for proof in PROOFS if proof in names)
        return found
