"""Buying what market makers know: over the ordinary market, checked before it is paid, some of its leaves opened."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

import msgspec
import structlog
from msgspec.structs import replace

from crypto.identity import did_key, parse_did_key, short_id
from node.background import Background
from node.env import Env
from node.errors import NodeError, NoOfferError, VerificationError
from node.outsource.client.hearsay import Hearsay
from node.outsource.client.request import Undisclosed
from node.outsource.client.seller import Listing
from node.priors.belief import LIAR_ODDS, Standing, first_standing
from node.priors.check import Opened, check, check_opened, read
from node.priors.config import PriorsConfig
from node.priors.document import SKILL, Prior
from node.priors.forms import Wanted, decode_reply, openings_of, shown
from node.proofs.errors import ProofError
from node.store.priors import Bought, Priors
from node.store.tasks import TaskRow
from node.tasks.content import Content
from node.tasks.verify import FULL_SCORE_PPM, Finding
from node.views import AskRequest, InputFile

log = structlog.get_logger()
T = TypeVar("T")

RENEWED_SHARE = 0.25
"""Of a document's life: when so little is left, the next one is bought while this one counts, and no task waits."""
ORDER_S = 60.0
"""Longest time for one order of a document or of openings."""


class Order(Protocol):
    """Sees a task of the node's own through to its end."""

    def __call__(self, request: AskRequest, undisclosed: Undisclosed) -> Awaitable[TaskRow]:
        """Its row, once it has ended, whichever way."""
        ...  # pragma: no cover


class Subscriptions:
    """The documents of the makers that this node hires."""

    def __init__(
        self,
        *,
        config: PriorsConfig,
        own_key: bytes,
        network: str,
        env: Env,
        priors: Priors,
        hearsay: Hearsay,
        listings: Callable[[str], Awaitable[list[Listing]]],
        order: Order,
        in_background: Background,
    ) -> None:
        self._config = config
        self._own_key = own_key
        self._network = network
        self._env = env
        self._priors = priors
        self._hearsay = hearsay
        self._listings = listings
        self._order = order
        self._in_background = in_background
        self.named = frozenset(parse_did_key(did) for did in config.makers)
        """Whom the owner named."""
        self._tried_s: dict[tuple[bytes, str], float] = {}
        """When a purchase failed last."""
        self._looked_s = -math.inf
        self._found: tuple[bytes, ...] = ()
        """Makers that nobody named, as of then."""
        self._under_way: dict[tuple[bytes, str], asyncio.Task[None]] = {}

    async def wanted(self, skill: str, *, most_s: float) -> None:
        """Have documents about a skill that is about to be bought, where the owner wants any; wait only so long."""
        if not self._config.is_on or skill == SKILL:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(min(most_s, self._config.wait_s)):
                awaited = []
                for maker in await self.makers():
                    left = await self._left_share(maker, skill)
                    if left < RENEWED_SHARE and not self._rests(maker, skill):
                        task = self._begun(maker, skill)
                        awaited += [task] if left <= 0.0 else []
                if awaited:
                    await asyncio.wait(awaited)

    async def makers(self) -> list[bytes]:
        """Whom to buy from: those that are named, and some of those that are found."""
        if self._config.find and self._now_s() - self._looked_s >= self._config.retry_s:
            self._looked_s = self._now_s()
            await asyncio.shield(self._in_background(self._look()))
        return [*sorted(self.named), *self._found[: self._config.most_makers]]

    async def _look(self) -> None:
        """Find makers; it goes on when nobody waits for it any more."""
        sellers = [one.seller.key for one in await self._listings(SKILL)]
        self._found = tuple(key for key in sellers if key not in self.named)

    def _rests(self, maker: bytes, skill: str) -> bool:
        """Whether nothing is to be bought of it: it is this node, or a purchase failed a moment ago."""
        since_s = self._now_s() - self._tried_s.get((maker, skill), -math.inf)
        return maker == self._own_key or since_s < self._config.retry_s

    async def _left_share(self, maker: bytes, skill: str) -> float:
        """What is left of the life of a maker's document; 0 or less where there is none that counts."""
        last = await self._priors.last(maker, skill)
        if last is None:
            return 0.0
        life_s = last.expires_unix_s - last.bought_unix_ms / 1000
        return (last.expires_unix_s - self._env.unix_ms() / 1000) / max(1.0, life_s)

    def _begun(self, maker: bytes, skill: str) -> asyncio.Task[None]:
        """The purchase, which goes on when nobody waits for it any more."""
        pair = (maker, skill)
        if pair not in self._under_way:
            task = self._under_way[pair] = self._in_background(self._quietly(maker, skill))
            task.add_done_callback(lambda _: self._under_way.pop(pair, None))
        return self._under_way[pair]

    async def _quietly(self, maker: bytes, skill: str) -> None:
        try:
            await self.buy(maker, skill)
        except NodeError as error:
            self._tried_s[maker, skill] = self._now_s()
            log.info("market_prior.not_bought", maker=short_id(maker), skill=skill, error=str(error))

    async def buy(self, maker: bytes, skill: str) -> Bought:
        """Buy the document of today, check it, have leaves opened where that is due, and keep it.

        NodeError where it cannot be had, VerificationError where it does not hold.
        """
        before = await self._priors.last(maker, skill)
        known = await self._priors.maker(maker)
        last = None if before is None else self._hearsay.prior(before)
        now_s = self._env.unix_ms() // 1000

        def opened_token(content: Content) -> tuple[str, Prior]:
            token = decode_reply(content.data).prior
            prior = read(token)
            check(prior, maker=maker, network=self._network, skill=skill, now_unix_s=now_s, last=last)
            return token, prior

        first = first_standing(is_named=maker in self.named)
        (token, prior), paid_micro = await self._bought(maker, Wanted(skill=skill), opened_token, first)
        opened = 0
        if known is None or known.bought % self._config.open_every == 0:
            count = min(self._config.opened, prior.tree.leaves)
            drawn = self._env.rng.sample(range(prior.tree.leaves), count)

            def leaves(content: Content) -> list[Opened]:
                return check_opened(prior, shown(decode_reply(content.data)), drawn)

            held, more_micro = await self._bought(maker, openings_of(prior, drawn), leaves, first, binds=True)
            opened, paid_micro = len(held), paid_micro + more_micro
        kept = Bought(
            maker=maker,
            skill=skill,
            token=token,
            expires_unix_s=prior.exp,
            bought_unix_ms=self._env.unix_ms(),
            paid_micro=paid_micro,
            opened=opened,
        )
        await self._priors.keep(kept, first)
        log.info("market_prior.bought", maker=short_id(maker), skill=skill, sellers=len(prior.rows), opened=opened)
        return kept

    async def _bought(
        self, maker: bytes, wanted: Wanted, how: Callable[[Content], T], first: Standing, *, binds: bool = False
    ) -> tuple[T, int]:
        """One order with the maker; what it gave, and what it cost. What does not hold is not paid.

        `binds`: it answers for something that it has signed, and what does not hold then makes a liar of it.
        """
        checked = _Check(how)
        data = msgspec.json.encode(wanted)
        request = AskRequest(
            skill=SKILL,
            files=(InputFile(name="input", media_type="application/json", data=data),),
            budget_micro=self._config.budget_micro,
            deadline_s=ORDER_S,
            only=did_key(maker),
        )
        row = await self._order(request, Undisclosed(check=checked))
        if checked.error is not None:
            standing = self._liar if binds and checked.error.reason != "malformed" else _same
            await self._priors.change(maker, first, standing, str(checked.error))
            raise VerificationError(f"what {short_id(maker)} sold does not hold: {checked.error}")
        if row.state != "completed" or checked.value is None:
            why = row.error_text or f"the order ended {row.state}"
            raise NoOfferError(f"{short_id(maker)} sold nothing: {why}")
        return checked.value, row.paid_micro

    @staticmethod
    def _liar(standing: Standing) -> Standing:
        return replace(standing, odds=LIAR_ODDS)

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def buy_from_all(self, skill: str, makers: Sequence[bytes] = ()) -> list[Bought]:
        """Buy of each of these, or of all that are named or found; NodeError where none sold anything."""
        chosen = list(makers) or await self.makers() or [one.seller.key for one in await self._listings(SKILL)]
        if not chosen:
            raise NoOfferError("no market maker is named in priors.makers, and none is found in the network")
        outcomes = await asyncio.gather(*(self.buy(maker, skill) for maker in chosen), return_exceptions=True)
        bought = [one for one in outcomes if isinstance(one, Bought)]
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not (bought and isinstance(outcome, NodeError)):
                raise outcome
        return bought


class _Check(Generic[T]):
    """A check of a result that keeps what it read, or why that does not hold."""

    def __init__(self, how: Callable[[Content], T]) -> None:
        self._how = how
        self.value: T | None = None
        self.error: ProofError | None = None

    def __call__(self, content: Content) -> Finding:
        try:
            self.value, self.error = self._how(content), None
        except ProofError as error:
            self.value, self.error = None, error
            return Finding(0, (str(error),))
        return Finding(FULL_SCORE_PPM)


def _same(standing: Standing) -> Standing:
    return standing
