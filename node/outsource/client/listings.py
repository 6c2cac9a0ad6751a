"""Who sells a skill, by the adverts that the sources show."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from dht.ids import skill_key
from node.errors import UsageError
from node.net.endpoint import Endpoint, endpoint
from node.outsource.client.clearance import Clearance
from node.outsource.client.offers import NoOffer
from node.outsource.client.request import Ask
from node.outsource.client.seller import Listing, Seller
from node.outsource.client.unasked import unasked
from node.registry.sources import NOBODY, Looked, Sources
from protocol.errors import RemoteProtocolError
from protocol.messages import decode_advert

log = structlog.get_logger()


class Listings:
    """Looks up who sells a skill."""

    def __init__(
        self,
        *,
        own_key: bytes,
        own_endpoint: Endpoint,
        network: str,
        sources: Sources,
        clearance: Clearance,
        is_blocked: Callable[[bytes], bool],
        unix_ms: Callable[[], int],
        timeout_s: float,
    ) -> None:
        """`timeout_s`: a look-up ends by then with what it has."""
        self._own_key = own_key
        self._own_endpoint = own_endpoint
        self._network = network
        self._sources = sources
        self._clearance = clearance
        self._is_blocked = is_blocked
        self._unix_ms = unix_ms
        self._timeout_s = timeout_s
        self._looking: dict[tuple[bytes, bool], asyncio.Future[Looked]] = {}

    async def of(self, skill: str, *, timeout_s: float | None = None, thorough: bool = False) -> list[Listing]:
        """Who sells `skill`, by the first source that knows anybody: never this node, nobody blocked, each once.

        `thorough`: when money is about to be committed. Whoever crowds around the skill's key hides nobody then.
        """
        limit_s = self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s)
        found: list[Listing] = []
        looked = await self._look(skill_key(self._network, skill), limit_s, thorough=thorough)
        for record in looked.records:
            if record.public_key == self._own_key or self._is_blocked(record.public_key):
                continue
            try:
                advert = decode_advert(record.body)
                where = endpoint(advert.host, advert.port)
            except (RemoteProtocolError, UsageError) as error:
                log.info("advert.ignored", error=str(error))
                continue
            if advert.skill == skill and where.may_be_dialled_from(self._own_endpoint):
                seller = Seller(record.public_key, where, record.expires_unix_ms)
                self._clearance.says(record.public_key, advert.regions)
                found.append(Listing(seller, advert, record.expires_unix_ms, looked.source(record)))
        return found

    def worth_asking(
        self, ask: Ask, listings: Sequence[Listing], seconds: float
    ) -> tuple[list[Listing], list[NoOffer]]:
        """Those who may do this task and will not close within that time, as their adverts say; why not the others."""
        return unasked(listings, ask.specification.constraints.regions, self._unix_ms() / 1000, seconds)

    async def _look(self, key: bytes, timeout_s: float, *, thorough: bool) -> Looked:
        """Who is published under `key`. Who asks while such a look-up is under way takes what it finds."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + timeout_s
        while (looking := self._looking.get((key, thorough))) is not None:
            await asyncio.wait([looking], timeout=max(0.0, ends - loop.time()))
            if not looking.done():
                return NOBODY
            if not looking.cancelled():
                return looking.result()
        looking = self._looking[key, thorough] = loop.create_future()
        try:
            found = await self._sources.look(key, timeout_s=max(0.0, ends - loop.time()), thorough=thorough)
            looking.set_result(found)
            return found
        finally:
            del self._looking[key, thorough]
            looking.cancel()  # Where the one who looked was cut short, the next one looks.
