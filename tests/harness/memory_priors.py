"""The market-maker calls of the node in memory: one maker's word on one seller."""

from node.errors import NoOfferError
from node.views import BuyPriorsRequest, DocumentRow, MakerRow, PriorRow, PriorsView, ProbingRow
from tests.harness.memory_ledger import DID, NOW_UNIX_MS


class MemoryPriors:
    """Knows `upper`, and buys nothing else."""

    async def priors(self, skill: str | None, /) -> PriorsView:
        row = PriorRow(
            skill=skill or "upper",
            peer="k7m2qfab",
            did=DID,
            maker="m4rk3tmk",
            probes=6,
            good_milli=4_900,
            bad_milli=1_000,
            faults=1,
            billed_ppm=1_000_000,
            latency_ppm=1_400_000,
            last_unix_ms=NOW_UNIX_MS,
        )
        maker = MakerRow(
            peer="m4rk3tmk",
            did=DID,
            named=True,
            believed_ppm=640_000,
            compared=3,
            surprises=1,
            bought=2,
            problem="it is of the network 'main\x1b[31m'",
        )
        document = DocumentRow(
            maker="m4rk3tmk",
            did=DID,
            skill=skill or "upper",
            token="eyJ.a.b",
            bought_unix_ms=NOW_UNIX_MS,
            expires_unix_ms=NOW_UNIX_MS + 86_400_000,
            paid_micro=1_000,
            opened=6,
        )
        probing = ProbingRow(skills=("upper",), budget_micro=50_000, spent_micro=1_250, sold=4)
        return PriorsView(sellers=(row,), makers=(maker,), documents=(document,), probing=probing)

    async def buy_priors(self, request: BuyPriorsRequest, /) -> PriorsView:
        if request.skill != "upper":
            raise NoOfferError(f"nobody sold anything about {request.skill}")
        return await self.priors(request.skill)
