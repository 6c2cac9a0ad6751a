"""How hired work is paid for."""

from dataclasses import dataclass

from coalesced.compose.ground import Base
from node.community.community import Community
from node.outsource.settlement.adapter import Adapter
from node.outsource.settlement.arbiter import Arbiter
from node.outsource.settlement.credits import Credits
from node.outsource.settlement.none import NoSettlement
from node.outsource.settlement.papers import Papers
from node.outsource.settlement.steward import Steward


@dataclass(frozen=True, slots=True)
class Paying:
    """How money moves: by which adapter, and who watches over escrows."""

    settling: Adapter
    steward: Steward | None


def build_paying(base: Base, community: Community) -> Paying:
    """How hired work is paid for."""
    config, ground = base.config.settlement, base.ground
    if config.adapter == "none":
        return Paying(NoSettlement(), None)

    async def tell(task_id: bytes, text: str) -> None:
        await base.tasks.note(task_id, "settled", text)

    steward = Steward(
        identity=ground.identity,
        env=ground.env,
        community=community,
        peers=base.peers,
        papers=Papers(ground.store.journal, ground.env),
        arbiter=Arbiter(ground.env, base.work, ground.store.exhibits),
        exhibits=ground.store.exhibits,
        config=config,
        tell=tell,
    )
    settling = Credits(
        identity=ground.identity,
        env=ground.env,
        community=community,
        config=config,
        steward=steward,
        fee_micro=base.work.spent_micro,
    )
    return Paying(settling, steward)
