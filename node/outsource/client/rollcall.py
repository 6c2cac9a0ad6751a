"""Who of those that advertise is there.

An advert outlives a seller that crashed, by three quarters of an hour on average, and no look-up can tell. So whoever
is to be shown or hired is spoken to first; and who could not be reached is not tried again for a while, unless it has
published since.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from node.net.errors import NetError
from node.net.peers import Peers
from node.outsource.client.seller import Seller

K = TypeVar("K")
V = TypeVar("V")

LEAST_GRACE_S: Final = 0.5
"""What the slower half of the sellers gets at least: a round trip across the world and a handshake."""
ROLL_GRACE_S: Final = 1.5
"""At a roll call, for which no task waits: a lost first packet is sent again after a second."""
FIRST_REST_MS: Final = 60_000
MOST_REST_MS: Final = 3_600_000
"""Who could not be reached rests a minute, then twice as long each time, at most for the life of a record."""
MOST_KNOWN: Final = 4_096
"""Sellers of whom it is remembered when they were met or missed; the one longest untouched goes first."""


@dataclass(slots=True)
class _Contact:
    met_unix_ms: int | None = None
    missed: int = 0
    """How often in a row."""
    rests_until_unix_ms: int = 0
    expires_unix_ms: int = 0
    """Of the advert by which it could not be reached."""


class Absences:
    """Remembers who was met and who was missed. Pure."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, _Contact] = OrderedDict()

    def met(self, key: bytes, now_unix_ms: int) -> None:
        """This seller has just answered."""
        contact = self._contact(key)
        contact.met_unix_ms, contact.missed, contact.rests_until_unix_ms = now_unix_ms, 0, 0

    def missed(self, seller: Seller, now_unix_ms: int) -> None:
        """This seller could not be reached just now."""
        contact = self._contact(seller.key)
        rest_ms = min(MOST_REST_MS, FIRST_REST_MS << min(contact.missed, 10))
        contact.missed += 1
        contact.rests_until_unix_ms, contact.expires_unix_ms = now_unix_ms + rest_ms, seller.expires_unix_ms

    def is_away(self, seller: Seller, now_unix_ms: int) -> bool:
        """Whether it was missed so lately, and has published nothing since, that it is in vain to try."""
        contact = self._known.get(seller.key)
        if contact is None or seller.expires_unix_ms > contact.expires_unix_ms:
            return False
        return now_unix_ms < contact.rests_until_unix_ms

    def met_unix_ms(self, key: bytes) -> int | None:
        """When this seller answered last; None where it never did, or that was forgotten."""
        contact = self._known.get(key)
        return None if contact is None else contact.met_unix_ms

    def worth_asking(self, sellers: Sequence[Seller], now_unix_ms: int) -> list[Seller]:
        """Those that are not away; all where all are, for then it may have been this node's own connection."""
        return [one for one in sellers if not self.is_away(one, now_unix_ms)] or list(sellers)

    def _contact(self, key: bytes) -> _Contact:
        contact = self._known.setdefault(key, _Contact())
        self._known.move_to_end(key)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return contact


class RollCall:
    """Speaks to sellers over the node's own sessions, which prove their keys. Costs each a handshake, or a ping."""

    def __init__(self, peers: Peers, absences: Absences, unix_ms: Callable[[], int]) -> None:
        self._peers = peers
        self._absences = absences
        self._unix_ms = unix_ms

    def met_unix_ms(self, key: bytes) -> int | None:
        """See `Absences.met_unix_ms`."""
        return self._absences.met_unix_ms(key)

    async def present(self, sellers: Iterable[Seller], *, timeout_s: float) -> set[bytes]:
        """The keys of those who answer. Who was missed lately is not spoken to, and counts as absent."""
        named = list({seller.key: seller for seller in sellers}.values())
        asked = self._absences.worth_asking(named, self._unix_ms())
        answers = await answers_in_time(
            {one.key: self._answers(one, timeout_s) for one in asked}, timeout_s, grace_s=ROLL_GRACE_S
        )
        here = {key for key, is_here in answers.items() if is_here}
        now = self._unix_ms()
        for seller in asked:
            if seller.key in here:
                self._absences.met(seller.key, now)
            else:
                self._absences.missed(seller, now)
        return here

    async def _answers(self, seller: Seller, timeout_s: float) -> bool:
        try:
            is_open = self._peers.open_session(seller.key) is not None
            session = await self._peers.session(seller.key, seller.endpoint)
            if is_open:  # A new one has just proved that somebody is there.
                await session.probe(timeout_s)
        except (NetError, TimeoutError):
            return False
        return True


async def answers_in_time(
    asking: Mapping[K, Awaitable[V]], timeout_s: float, *, grace_s: float = LEAST_GRACE_S
) -> dict[K, V]:
    """What came of each within `timeout_s`. The rest is cancelled.

    Once half of them have answered, the others get as long again, and `grace_s` at least: a few silent ones do not
    delay everything.
    """
    if len(asking) == 1:
        ((key, only),) = asking.items()
        return await _answer_in_time(key, only, timeout_s)
    loop = asyncio.get_running_loop()
    began = loop.time()
    ends = began + timeout_s
    answers: dict[K, V] = {}
    async with asyncio.TaskGroup() as group:
        tasks = {group.create_task(_awaited(work)): key for key, work in asking.items()}
        waiting = set(tasks)
        while waiting and (left_s := ends - loop.time()) > 0:
            done, waiting = await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            answers |= {tasks[task]: task.result() for task in done}
            if 2 * len(answers) >= len(tasks):
                took_s = loop.time() - began
                ends = min(ends, began + max(2 * took_s, took_s + grace_s))
        for task in waiting:
            task.cancel()
    return answers


async def _answer_in_time(key: K, work: Awaitable[V], timeout_s: float) -> dict[K, V]:
    """As `answers_in_time`, of one alone: nobody is waited for beside it, so it needs no task of its own."""
    try:
        async with asyncio.timeout(timeout_s) as limit:
            return {key: await work}
    except TimeoutError:
        if not limit.expired():
            raise
        return {}


async def _awaited(work: Awaitable[V]) -> V:
    return await work
