"""Where the members of a chain are: as the owner said, as discovery knows, or as they say of themselves in the DHT."""

import asyncio

import structlog

from crypto.identity import short_id
from dht.errors import DhtError
from dht.ids import skill_key
from dht.service import KademliaDiscovery
from node.community.config import LedgerConfig
from node.errors import UsageError
from node.net.endpoint import Endpoint, endpoint
from protocol.errors import RemoteProtocolError
from protocol.messages import Advert, decode_advert, encode_advert

LOOK_UP_TIMEOUT_S = 5.0
LOOK_UP_PAUSE_S = 15.0
"""Between two look-ups for whoever is missing."""
MAX_FOUND = 512
"""Addresses that are remembered, the latest: anybody may publish one as if it were a member's."""

log = structlog.get_logger()


def member_label(chain: bytes) -> str:
    """Under what the members of a chain publish where they are."""
    return f"ledger/{chain.hex()[:40]}"


class Directory:
    """Addresses of one chain's members."""

    def __init__(
        self, discovery: KademliaDiscovery, network: str, chain: bytes, advertised: Endpoint, config: LedgerConfig
    ) -> None:
        self._discovery = discovery
        self._label = member_label(chain)
        self._key = skill_key(network, self._label)
        self._advertised = advertised
        self._told = config.members_at()
        self._found: dict[bytes, Endpoint] = {}
        self._looked_s = float("-inf")
        self._looking = asyncio.Lock()

    async def announce(self) -> None:
        """Say in the DHT where this member is, from now on."""
        advert = Advert(host=self._advertised.host, port=self._advertised.port, skill=self._label)
        try:
            await self._discovery.publish(self._key, encode_advert(advert))
        except DhtError as error:
            log.warning("ledger.not_announced", error=str(error))

    async def withdraw(self) -> None:
        """Say so no longer."""
        try:
            await self._discovery.withdraw(self._key)
        except DhtError as error:
            log.warning("ledger.not_withdrawn", error=str(error))

    async def endpoint(self, member: bytes) -> Endpoint | None:
        """Where a peer is, as far as anybody knows."""
        if (known := self._known(member)) is not None:
            return known
        await self._look_up()
        return self._found.get(member)

    def _known(self, member: bytes) -> Endpoint | None:
        if member in self._told:
            return self._told[member]
        for contact in self._discovery.contacts():
            if contact.public_key == member:
                return endpoint(contact.host, contact.port)
        return None

    async def _look_up(self) -> None:
        async with self._looking:
            now_s = asyncio.get_running_loop().time()
            if now_s < self._looked_s + LOOK_UP_PAUSE_S:
                return
            self._looked_s = now_s
            try:
                records = await self._discovery.find(self._key, timeout_s=LOOK_UP_TIMEOUT_S)
            except DhtError as error:
                log.info("ledger.look_up_failed", error=str(error))
                return
            for record in records:
                try:
                    advert = decode_advert(record.body)
                    where = endpoint(advert.host, advert.port)
                except (RemoteProtocolError, UsageError):
                    log.info("ledger.bad_advert", peer=short_id(record.public_key))
                    continue
                if where.may_be_dialled_from(self._advertised):
                    self._found.pop(record.public_key, None)
                    self._found[record.public_key] = where
                    if len(self._found) > MAX_FOUND:
                        del self._found[next(iter(self._found))]
