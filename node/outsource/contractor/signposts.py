"""The signposts of this node's wares: a record at each caption that one of them is near."""

import asyncio
from collections.abc import Sequence

import structlog

from dht.errors import DhtError
from dht.ids import anchor_key
from dht.service import Publishing
from node.env import Env
from node.net.endpoint import Endpoint
from node.skills.meaning.anchors import Anchors
from node.skills.meaning.embedding import open_embedding
from node.skills.meaning.offer import offer_text
from node.skills.meaning.ontology import check_resource
from protocol.errors import LocalProtocolError
from protocol.signpost import MAX_POSTED, PostedOffer, Signpost, encode_signpost

log = structlog.get_logger()


class Signposts:
    """Keeps what is published at captions equal to what is on sale."""

    def __init__(
        self, *, network: str, discovery: Publishing, advertised: Endpoint, has: Sequence[str], env: Env
    ) -> None:
        """`has`: resource terms of this node; UsageError for one that is none."""
        self._terms = tuple(check_resource(term) for term in has)
        self._network = network
        self._discovery = discovery
        self._advertised = advertised
        self._env = env
        self._places: dict[str, tuple[str, ...]] = {}
        """The anchors of each text that was ever on sale."""
        self._standing: dict[str, bytes] = {}
        """Body by anchor, as published."""
        self._turn = asyncio.Lock()

    @property
    def standing(self) -> tuple[str, ...]:
        """The names of the anchors that this node is published at."""
        return tuple(self._standing)

    async def follow(self, offers: Sequence[PostedOffer]) -> None:
        """Publish what is new, withdraw what is gone. Where the DHT refuses, that is logged: labels still find all."""
        async with self._turn:
            # With all captions that it is compared with: a tenth of a second the first time.
            wanted = await self._env.offload(self._bodies, offers)
            for name in [name for name in self._standing if name not in wanted]:
                del self._standing[name]
                await self._discovery.withdraw(anchor_key(self._network, name))
            for name, body in wanted.items():
                if self._standing.get(name) == body:
                    continue
                try:
                    await self._discovery.publish(anchor_key(self._network, name), body)
                except DhtError as error:
                    log.warning("signpost.refused", anchor=name, error=str(error))
                else:
                    self._standing[name] = body

    def _bodies(self, offers: Sequence[PostedOffer]) -> dict[str, bytes]:
        """What to publish at which anchor: an offer stands first where it is nearest."""
        texts = {offer: offer_text(offer.skill, offer.caption) for offer in offers}
        if unknown := set(texts.values()) - self._places.keys():
            # Opened for this and let go: a node that only sells has no use for five megabytes of meanings.
            places = Anchors(open_embedding())
            self._places |= {text: places.names(places.published(text)) for text in unknown}
        near: dict[str, list[tuple[int, PostedOffer]]] = {}
        for offer in offers:
            for rank, name in enumerate(self._places[texts[offer]]):
                near.setdefault(name, []).append((rank, offer))
        bodies = {}
        for name, ranked in near.items():
            nearest = tuple(offer for _, offer in sorted(ranked, key=lambda pair: (pair[0], pair[1].skill)))
            signpost = Signpost(
                host=self._advertised.host,
                port=self._advertised.port,
                terms=self._terms,
                offers=nearest[:MAX_POSTED],
            )
            try:
                bodies[name] = encode_signpost(signpost)
            except LocalProtocolError as error:
                log.warning("signpost.left_out", anchor=name, error=str(error))
        return bodies
