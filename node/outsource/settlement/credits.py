"""Credits of a community in escrow: locked before the work, released when the result has passed.

This is the part that hiring waits for; what follows, also after a crash, is the steward's (steward.py).
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from crypto.identity import Identity
from node.community.community import Community
from node.community.following import Following
from node.community.waiters import NotCommittedError
from node.env import Env
from node.errors import NodeError
from node.ledger.chain.state import FUNDED, Account, AccountId, Deal, State, account_key, deal_key
from node.outsource.settlement.adapter import Charge, Exhibit
from node.outsource.settlement.config import SettlementConfig
from node.outsource.settlement.deals import active_account, arbiter_for, deal_name, is_member
from node.outsource.settlement.exhibits import pack_exhibit
from node.outsource.settlement.papers import Job
from node.outsource.settlement.steward import Steward
from node.store.errors import StorageError
from protocol.signed import QuoteTerms
from protocol.transactions import Fund

FIRST_DELAY_S: Final = 0.5
"""What locking is taken to need before it was ever measured: a committee across a continent."""
NEWEST: Final = 0.2
"""Weight of the newest measured delay."""


log = structlog.get_logger()


class Credits:
    """The adapter `credits`."""

    def __init__(
        self,
        *,
        identity: Identity,
        env: Env,
        community: Community,
        config: SettlementConfig,
        steward: Steward,
        fee_micro: Callable[[float], float],
    ) -> None:
        """`fee_micro`: what so many processor seconds cost here."""
        self._key = identity.public_key
        self._env = env
        self._community = community
        self._config = config
        self._steward = steward
        self._fee_micro = fee_micro
        self._delay_s = FIRST_DELAY_S

    # --- the client

    def charge(self, terms: QuoteTerms) -> Charge | str:
        """The deal's transactions, and the wait for the first of them."""
        if terms.escrow_chain is None:
            return Charge()
        try:
            following = self._community.following
            state = following.state
        except NotCommittedError as error:
            return f"its price cannot be locked: {error}"
        if terms.escrow_chain != following.machine.chain:
            return f"it wants its price locked on chain {terms.escrow_chain.hex()[:16]}, not this node's"
        me = active_account(state, self._key)
        if me is None:
            return "it wants its price locked, and this node has no account on their chain"
        left = state.the(Account, account_key(me)).credits
        if left < terms.price_micro:
            return f"it wants {terms.price_micro} credits locked, and this node has {left}"
        return Charge(self._fee_micro(self._config.transaction_s), self._delay_s)

    async def lock(self, quote: bytes, terms: QuoteTerms, task_id: bytes, *, remaining_s: float) -> str:
        """Commit the deal; noted in the journal before it can be on the chain."""
        if terms.escrow_chain is None:
            return ""
        loop = asyncio.get_running_loop()
        began = loop.time()
        name = deal_name(quote)
        try:
            following = self._community.following
            state = following.state
            me, seller = active_account(state, self._key), active_account(state, terms.contractor)
            arbiter = arbiter_for(state, me, seller, name) if me and seller else None
            if arbiter is None or me is None:
                return "a deal needs accounts of both parties and a member of the committee who is neither"
            await self._steward.papers.note(name, Job(terms.task_id, task_id, me))
            tx = following.author.sign(
                state,
                Fund,
                deal=name,
                contractor=terms.contractor,
                arbiter=arbiter,
                credits=terms.price_micro,
                submit_within_ms=round(1000 * (remaining_s + self._config.margin_s)),
            )
            await following.submit(tx, timeout_s=self._config.lock_timeout_s)
        except NodeError as error:
            return f"its price was not locked: {error}"
        self._delay_s += NEWEST * (loop.time() - began - self._delay_s)
        await self._steward.tell(name, f"{terms.price_micro} credits are locked for it")
        return ""

    async def judged(self, quote: bytes, rejected: Exhibit | None) -> None:
        """The steward reads the journal."""
        if rejected is not None and (packed := pack_exhibit(rejected)) is not None:
            try:
                await self._steward.shows(deal_name(quote), packed)
            except StorageError as error:
                log.warning("deal.exhibit_not_kept", error=str(error))
        self._steward.wake()

    # --- the seller

    def wanted(self, client: bytes, price_micro: int) -> bytes | None:
        """This node's chain, where it has an account there, and somebody could be asked who is right."""
        try:
            following = self._community.following
            state = following.state
        except NotCommittedError:
            return None
        me, other = active_account(state, self._key), state.account_of(client)
        if price_micro == 0 or me is None:
            return None
        is_alone = other is not None and arbiter_for(state, other, me, bytes(32)) is None
        return None if is_alone else following.machine.chain

    async def check(self, quote: bytes, terms: QuoteTerms) -> str:
        """Wait for the deal to be final here, and look at it."""
        if terms.escrow_chain is None:
            return ""
        name = deal_name(quote)
        try:
            following = self._community.following
            async with asyncio.timeout(self._config.lock_timeout_s):
                while (deal := _deal(following.state, terms.client, name)) is None:
                    await following.next_block()
            if why := self._wrong(following, terms, deal):
                return why
            await self._steward.papers.note(name, Job(terms.task_id, None, following.state.account_of(terms.client)))
        except TimeoutError:
            return f"its price was not locked within {self._config.lock_timeout_s:g} s"
        except NodeError as error:
            return f"whether its price is locked cannot be seen: {error}"
        self._steward.begins(name)
        return ""

    def _wrong(self, following: Following, terms: QuoteTerms, deal: Deal) -> str:
        state, now = following.state, self._env.unix_ms()
        problems = {
            "the deal on the chain is with somebody else": state.account_of(self._key) != AccountId(deal.contractor),
            f"{deal.credits} credits are locked for a price of {terms.price_micro}": deal.credits < terms.price_micro,
            "the deal on the chain is used up": deal.stage != FUNDED,
            "its arbiter has no vote on the chain": not is_member(state, deal.arbiter),
            "the deal on the chain ends before the work can": deal.due_unix_ms < now + terms.duration_ms,
        }
        return next((text for text, is_so in problems.items() if is_so), "")

    def ended(self, quote: bytes) -> None:
        """The steward asks for the pay, or gives the money back."""
        self._steward.ends(deal_name(quote))

    async def run(self) -> None:
        """See every deal to its end."""
        await self._steward.run()


def _deal(state: State, client_key: bytes, name: bytes) -> Deal | None:
    client = state.account_of(client_key)
    return None if client is None else state.find(Deal, deal_key(client, name))
