"""What this node knows of sellers for its security budget: what they proved, and where they say they are."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from crypto.identity import did_key
from node.decision.evidence import Evidence
from node.decision.security import PROOFS, Grant
from node.decision.security_config import SecurityConfig
from node.store.drifting import Drifting
from node.store.examinations import Examinations, Examined
from node.store.shown import ShownClaim, ShownProofs
from node.views.base import Proof

PPM: Final = 1_000_000
MAX_SELLERS: Final = 4_096
"""Whose regions are remembered; the one longest unseen goes first, and then says nothing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a seller is proved: by which kinds, by what exactly, and why that may be out of date."""

    proofs: tuple[Proof, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    drift: str = ""


@dataclass(frozen=True, slots=True)
class _Shown:
    proof: Proof
    claim: str
    by: str
    amount: float
    unix_ms: int


class Clearance:
    """Looked up once a decision."""

    def __init__(
        self, config: SecurityConfig, shown: ShownProofs, examinations: Examinations, drifting: Drifting
    ) -> None:
        self._config = config
        self._shown = shown
        self._examinations = examinations
        self._drifting = drifting
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

    async def standing(self, sellers: Sequence[bytes], now_unix_ms: int) -> dict[bytes, Standing]:
        """What each proved to this node, as far as that still counts: lately, and since it seemed to change."""
        kept = await self._shown.of(sellers, now_unix_ms)
        examined = await self._examinations.of(sellers)
        drifts = await self._drifting.drifts(sellers)
        found: dict[bytes, Standing] = {}
        for seller in sellers:
            drift = drifts.get(seller)
            since_ms = now_unix_ms - self._config.proof_life_s * 1000
            since_ms = max(since_ms, drift.unix_ms) if drift else since_ms
            shown = [*_certified(kept[seller]), *_attested(examined[seller])]
            evidence = tuple(
                Evidence(
                    proof=one.proof,
                    claim=one.claim,
                    by=one.by,
                    amount=one.amount,
                    age_s=max(0.0, (now_unix_ms - one.unix_ms) / 1000),
                )
                for one in shown
                if one.unix_ms >= since_ms
            )
            names = {one.proof for one in evidence}
            proofs = tuple(proof for proof in PROOFS if proof in names)
            found[seller] = Standing(proofs, evidence, drift.reason if drift else "")
        return found


def _certified(kept: Sequence[ShownClaim]) -> Iterator[_Shown]:
    for one in kept:
        if one.proof in PROOFS:
            by = did_key(one.attester) if one.attester else ""
            amount = one.amount / PPM if one.claim.startswith("skill:") else one.amount
            yield _Shown(one.proof, one.claim, by, amount, one.shown_unix_ms)


def _attested(examined: Examined) -> Iterator[_Shown]:
    """What attestations showed: of the work of each size the latest, unless one as large or larger came after it.

    A small one takes back nothing that a large one showed; one that failed takes away all before it.
    """
    size = memory_mib = 0
    for one in examined.attestations:
        if one.done and not one.holds:
            return
        if one.done and one.size > size:
            size = one.size
            yield _Shown("attestation", "compute", "", one.rate_mops / 1000, one.unix_ms)
        if one.done and one.memory_mib > memory_mib:
            memory_mib = one.memory_mib
            yield _Shown("attestation", "memory", "", one.memory_mib, one.unix_ms)
