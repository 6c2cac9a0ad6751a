"""What becomes of a delivery whose client keeps silent: when its time to rate has passed, it is filed as unrated.

The papers are durable before the result is sent, so that neither side's crash loses them, and forgotten as soon as the
chain has the rating or the filing, or takes neither any more.
"""

import asyncio
from typing import Literal

import structlog

from node.community.community import Community
from node.community.following import Following
from node.community.waiters import NotCommittedError
from node.env import Env
from node.ledger.chain.genesis import Parameters
from node.ledger.chain.state import Rated, State, rated_key
from node.store.errors import StorageError
from node.store.own_deliveries import OwnDelivery
from protocol.errors import RemoteProtocolError
from protocol.messages import Accepted, Award
from protocol.packing import unpack
from protocol.receipts import DAY_MS
from protocol.signed import AcceptanceTerms, AwardTerms
from protocol.transactions import FileUnrated, acceptance_id

LOOK_S = 15.0
"""Between two looks; a full page of the oldest is looked at each time, and the next page after it."""
MARGIN_S = 0.1
PAGE = 256
AT_A_TIME = 32
"""Half of the sequence numbers that may be on their way together."""
SUBMIT_TIMEOUT_S = 20.0

log = structlog.get_logger()
Fate = Literal["wait", "file", "forget"]


class Unrated:
    """`keep` what was delivered; `run` files it when it is due."""

    def __init__(self, env: Env, community: Community) -> None:
        self._env = env
        self._community = community
        self._last: OwnDelivery | None = None
        """Where the next page begins."""
        self._kept = asyncio.Event()

    async def keep(self, accepted: Accepted, award: Award) -> None:
        """Keep what proves this job. A delivery is not held up by a chain that is not there or takes no more."""
        own = OwnDelivery(
            acceptance_id(accepted.terms),
            accepted.terms,
            accepted.signature,
            award.terms,
            award.signature,
            accepted.salt,
            unpack(AwardTerms, award.terms).awarded_unix_ms,
        )
        try:
            if not await self._community.following.store.own_deliveries.add(own):
                log.warning("unrated.not_kept", reason="too many deliveries wait for their ratings")
        except (NotCommittedError, StorageError) as error:
            log.info("unrated.not_kept", reason=str(error))
        self._kept.set()

    async def run(self) -> None:
        """File what is due, for ever."""
        while True:
            self._kept.clear()
            pause_s = LOOK_S
            try:
                pause_s = await self._look(self._community.following)
            except (NotCommittedError, StorageError) as error:
                log.info("unrated.waits", reason=str(error))
            try:
                async with asyncio.timeout(pause_s):
                    await self._kept.wait()
            except TimeoutError:
                continue

    async def _look(self, following: Following) -> float:
        """One page; for how long nothing else there falls due."""
        store, rules = following.store.own_deliveries, following.machine.genesis.parameters
        page = await store.after(self._last, PAGE)
        self._last = page[-1] if len(page) == PAGE else None
        state, now = following.state, self._env.unix_ms()
        fates = [(own, fate_of(state, rules, own, now)) for own in page]
        over = [own for own, fate in fates if fate == "forget"]
        due = [own for own, fate in fates if fate == "file"][:AT_A_TIME]
        filed = await asyncio.gather(*(self._file(following, own) for own in due))
        if over := [*over, *(own for own, is_filed in zip(due, filed, strict=True) if is_filed)]:
            await store.forget(over)
        waiting = (own.awarded_unix_ms + rules.unrated_after_ms - now for own, fate in fates if fate == "wait")
        return min([LOOK_S, *(max(0, left_ms) / 1000 + MARGIN_S for left_ms in waiting)])

    async def _file(self, following: Following, own: OwnDelivery) -> bool:
        """Whether it is on the chain now. Refused is refused for now: the chain's clock may be behind this one."""
        try:
            tx = following.author.sign(
                following.state,
                FileUnrated,
                acceptance=own.acceptance,
                acceptance_signature=own.acceptance_signature,
                award=own.award,
                award_signature=own.award_signature,
                salt=own.salt,
            )
            await following.submit(tx, timeout_s=SUBMIT_TIMEOUT_S)
        except NotCommittedError as error:
            log.info("unrated.waits", acceptance=own.acceptance_id.hex()[:16], reason=str(error))
            return False
        log.info("unrated.filed", acceptance=own.acceptance_id.hex()[:16])
        return True


def fate_of(state: State, rules: Parameters, own: OwnDelivery, now: int) -> Fate:
    """What to do about a delivery, as the chain stands: nobody without an account can rate or be filed against."""
    try:
        terms = unpack(AcceptanceTerms, own.acceptance)
    except RemoteProtocolError:
        return "forget"
    if state.find(Rated, rated_key(own.acceptance_id)) is not None or now // DAY_MS > terms.day + rules.rating_days:
        return "forget"
    if now <= own.awarded_unix_ms + rules.unrated_after_ms:
        return "wait"
    parties = {state.account_of(terms.client), state.account_of(terms.contractor)}
    return "wait" if None in parties or len(parties) == 1 else "file"
