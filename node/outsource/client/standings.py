"""What others say of sellers on the community chain, as this node reads it; level 2 is worked out once an epoch."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.community.community import Community
from node.community.waiters import NotCommittedError
from node.decision.reliability import Reputation
from node.env import Env
from node.ledger.chain.state import State
from protocol.receipts import DAY_MS

if TYPE_CHECKING:
    from node.ledger.reputation.standing import Anchored, Standing


@dataclass(frozen=True, slots=True)
class _Epoch:
    """What level 2 was worked out for."""

    chain: bytes
    number: int
    levels: "Anchored"


class Standings:
    """Looks sellers up on the chain."""

    def __init__(self, own_key: bytes, community: Community, env: Env) -> None:
        self._own_key = own_key
        self._community = community
        self._env = env
        self._known: _Epoch | None = None
        self._one_at_a_time = asyncio.Lock()

    async def of(self, keys: Sequence[bytes]) -> dict[bytes, Reputation]:
        """Of those that have an account; empty while no chain is followed."""
        try:
            following = self._community.following
            state = following.state
        except NotCommittedError:
            return {}
        if not keys:
            return {}
        epoch = self._env.unix_ms() // following.machine.genesis.parameters.epoch_ms
        day = self._env.unix_ms() // DAY_MS
        async with self._one_at_a_time:
            known = self._known
            if known is None or (known.chain, known.number) != (following.machine.chain, epoch):
                levels = await self._env.offload(_levels, state, self._own_key, day)
                self._known = known = _Epoch(following.machine.chain, epoch, levels)
        return await self._env.offload(_reputations, state, tuple(keys), day, known.levels)


def _levels(state: State, own_key: bytes, day: int) -> "Anchored":
    from node.ledger.reputation.standing import anchored  # numpy: see node/decision/__init__.py

    return anchored(state, state.account_of(own_key), day)


def _reputations(state: State, keys: Sequence[bytes], day: int, levels: "Anchored") -> dict[bytes, Reputation]:
    from node.ledger.reputation.standing import standing

    found = {key: standing(state, key, day, levels) for key in keys}
    return {key: reputation_of(one, levels.me) for key, one in found.items() if one is not None}


def reputation_of(found: "Standing", me: bytes | None) -> Reputation:
    """A standing as the decision takes it. This node's own words are no news to it: their jobs are taken off."""
    one, two = found.level_1, found.level_2
    own_jobs = sum(said.successes + said.failures for said in found.said if said.client == me)
    is_anchored = two is not None and not two.fell_back
    return Reputation(
        level_1=one.mean,
        level_1_low=one.low,
        level_1_jobs=max(0.0, one.successes + one.failures - own_jobs),
        level_2=two.rate if two is not None and is_anchored else None,
        level_2_jobs=max(0.0, two.jobs - own_jobs) if two is not None and is_anchored else 0.0,
        raters=sum(said.client != me for said in found.said),
        printed=one.as_printed,
        printed_jobs=max(0.0, one.successes + one.failures - own_jobs) / found.kept if found.kept else 0.0,
    )
