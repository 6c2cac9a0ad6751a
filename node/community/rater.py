"""This node's own ratings: from a receipt that both signed to the chain, promised in one epoch and shown in a later."""

import asyncio

import structlog

from crypto.identity import Identity
from node.community.following import Following
from node.community.waiters import NotCommittedError
from node.env import Env
from node.ledger.chain.state import Commitment, Rated, commitment_key, rated_key
from node.ledger.journal import rating_record
from node.store.errors import StorageError
from node.store.journal_store import Journal
from node.store.own_ratings import OwnRating
from protocol.consensus import decode_header
from protocol.packing import unpack
from protocol.receipts import DAY_MS, Receipt, Signed, rate
from protocol.signed import AcceptanceTerms, RatingTerms
from protocol.transactions import Admit, CommitRating, RevealRating, acceptance_id, rating_commitment, sign_transaction

LOOK_S = 15.0
"""Between two looks at what can be promised or shown now: a quarter of the shortest sensible epoch."""
MARGIN_S = 0.1
AT_A_TIME = 32
"""Half of the sequence numbers that may be on their way together."""
SUBMIT_TIMEOUT_S = 20.0
MOTION_VALID_MS = 60_000
"""A motion of this node alone is committed at once."""

log = structlog.get_logger()


class Rater:
    """`rate` when a receipt is complete; `run` brings the ratings to the chain."""

    def __init__(self, identity: Identity, env: Env, journal: Journal) -> None:
        self._identity = identity
        self._env = env
        self._journal = journal
        self._wanted = asyncio.Event()

    async def rate(
        self, following: Following, receipt: Receipt, acceptance: Signed[AcceptanceTerms], task_id: bytes
    ) -> None:
        """Sign what this node says about a job, and keep it until it is on the chain.

        Nothing is said where one of the two has no account: the chain would never take it. On a chain of one member,
        that member lets in whom it has dealt with: nobody else could vote on it.
        """
        state, parties = following.state, {receipt.terms.client, receipt.terms.contractor}
        strangers = [key for key in parties if state.account_of(key) is None]
        if strangers and not (len(state.members) == 1 and parties & set(state.members)):
            return
        if strangers:
            await self.admit(following, strangers[0])
        now = self._env.unix_ms()
        rating = rate(self._identity, receipt, acceptance, now)
        salt = self._env.entropy(16)
        await self._journal.append("rating", rating_record(rating), now, task_id=task_id)
        promise = rating_commitment(salt, rating.body)
        await following.store.own_ratings.add(OwnRating(promise, rating.body, rating.signature, salt, now))
        self._wanted.set()

    async def admit(self, following: Following, key: bytes) -> None:
        """As the only member of the chain, give somebody an account who has none; on any other chain, nothing."""
        if following.state.members != (self._identity.public_key,) or following.state.account_of(key) is not None:
            return
        terms = Admit(
            chain=following.machine.chain,
            motion=self._env.entropy(16),
            valid_until_unix_ms=self._env.unix_ms() + MOTION_VALID_MS,
            key=key,
        )
        await following.submit(sign_transaction(terms, self._identity), timeout_s=SUBMIT_TIMEOUT_S)

    async def run(self, following: Following) -> None:
        """Promise and show what can be, for ever; what is refused for now holds nothing up that comes after it."""
        last: OwnRating | None = None
        while True:
            self._wanted.clear()
            try:
                epoch = self._epoch(following, self._env.unix_ms())
                some = await following.store.own_ratings.after(last, AT_A_TIME, epoch=epoch)
                advanced = await asyncio.gather(*(self._advance(following, own) for own in some))
                last = some[-1] if len(some) == AT_A_TIME else None
                if last is not None and all(advanced):
                    continue
            except StorageError as error:
                log.warning("rating.waits", reason=str(error))
            try:
                async with asyncio.timeout(self._pause_s(following)):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def _advance(self, following: Following, own: OwnRating) -> bool:
        """Whether a step was taken; False when the chain takes none for now."""
        try:
            if self._is_over(following, own):
                await following.store.own_ratings.forget(own.promise)
            elif own.epoch is None:
                await self._promise(following, own)
            else:
                await self._show(following, own)
        except NotCommittedError as error:
            log.info("rating.waits", promise=own.promise.hex()[:16], reason=str(error))
            return False
        return True

    def _is_over(self, following: Following, own: OwnRating) -> bool:
        """Whether it is on the chain, or can never be."""
        rules, now = following.machine.genesis.parameters, self._env.unix_ms()
        rated = rated_key(acceptance_id(unpack(RatingTerms, own.rating).acceptance))
        if following.state.find(Rated, rated) is not None:
            return True
        if own.epoch is not None:
            return self._epoch(following, now) > own.epoch + rules.reveal_epochs
        return now > own.unix_ms + rules.rating_days * DAY_MS

    async def _promise(self, following: Following, own: OwnRating) -> None:
        state, store = following.state, following.store
        owner = state.account_of(self._identity.public_key)
        stands = state.find(Commitment, commitment_key(owner, own.promise)) if owner is not None else None
        if stands is not None:  # committed before a crash that kept this node from noting it
            await store.own_ratings.promised(own.promise, stands.epoch)
            return
        tx = following.author.sign(state, CommitRating, commitment=own.promise)
        done = await following.submit(tx, timeout_s=SUBMIT_TIMEOUT_S)
        block = await store.block(done.height)
        assert block is not None, "what was committed is stored"
        epoch = self._epoch(following, decode_header(block.block.header).time_unix_ms)
        await store.own_ratings.promised(own.promise, epoch)

    async def _show(self, following: Following, own: OwnRating) -> None:
        terms = RevealRating(
            chain=following.machine.chain, rating=own.rating, rating_signature=own.signature, salt=own.salt
        )
        await following.submit(sign_transaction(terms), timeout_s=SUBMIT_TIMEOUT_S)
        await following.store.own_ratings.forget(own.promise)

    def _pause_s(self, following: Following) -> float:
        """Until the next epoch has begun in blocks too, but never long: what failed is tried again."""
        epoch_ms = following.machine.genesis.parameters.epoch_ms
        return min(LOOK_S, (epoch_ms - self._env.unix_ms() % epoch_ms) / 1000 + MARGIN_S)

    def _epoch(self, following: Following, unix_ms: int) -> int:
        return unix_ms // following.machine.genesis.parameters.epoch_ms
