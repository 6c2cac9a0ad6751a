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

LOOK_S = 60.0
"""Between two looks, of a page each: a minute late is nothing in two weeks."""
NO_CHAIN_S = 1.0
"""While no chain is followed, or its file is being read."""
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
        """After which the next page begins; None: with the oldest."""

    async def keep(self, accepted: Accepted, award: Award) -> None:
        """Keep what proves this job, where this node has an account. No trouble with a chain holds a delivery up."""
        own = OwnDelivery(
            acceptance_id(accepted.terms),
            accepted.terms,
            accepted.signature,
            award.terms,
            award.signature,
            accepted.salt,
            unpack(AwardTerms, award.terms).awarded_unix_ms,
        )
        me = unpack(AcceptanceTerms, accepted.terms).contractor
        try:
            following = self._community.following
            if following.state.account_of(me) is None or await following.store.own_deliveries.add(own):
                return
            log.warning("unrated.not_kept", reason="too many deliveries wait for their ratings")
        except NotCommittedError:
            return
        except StorageError as error:
            log.warning("unrated.not_kept", reason=str(error))

    async def run(self) -> None:
        """File what is due, for ever."""
        while True:
            try:
                pause_s = await self._look(self._community.following)
            except NotCommittedError:
                pause_s = NO_CHAIN_S
            except StorageError as error:
                log.warning("unrated.waits", reason=str(error))
                pause_s = LOOK_S
            await asyncio.sleep(pause_s)

    async def _look(self, following: Following) -> float:
        """One page; how long to wait for the next look."""
        store, rules = following.store.own_deliveries, following.machine.genesis.parameters
        page = await store.after(self._last, PAGE)
        self._last = page[-1] if len(page) == PAGE else None
        state, now = following.state, self._env.unix_ms()
        fates = [(own, fate_of(state, rules, own, now)) for own in page]
        due = [own for own, fate in fates if fate == "file"][:AT_A_TIME]
        filed = await asyncio.gather(*(self._file(following, own) for own in due))
        over = [own for own, fate in fates if fate == "forget"]
        over += [own for own, is_filed in zip(due, filed, strict=True) if is_filed]
        if over:
            await store.forget(over)
        dues = [own.awarded_unix_ms + rules.unrated_after_ms for own in page]
        left = [one - now for one in (*dues, now + rules.unrated_after_ms) if one >= now]
        return min(LOOK_S, min(left) / 1000 + MARGIN_S)

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
