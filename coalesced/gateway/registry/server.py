"""The registry of one node, on its public port: records; of their publishers, what is known, cards and certificates.

Everything is a GET with an entity tag but the publication of records. Nothing that a node signed is changed, so whoever
asks can check it; what the registry adds of its own is small, and signed where it says something about others.
"""

import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from coalesced import __version__
from coalesced.gateway.limits import pace, read_body
from coalesced.gateway.quotas import RequestRates
from coalesced.gateway.registry.cards import SellerCards
from coalesced.gateway.registry.certificates import SellerCertificates
from coalesced.gateway.registry.kept import FetchError
from crypto.identity import did_key, parse_did_key
from crypto.jws import sign_compact
from dht.records import Record
from node.community.waiters import NotCommittedError
from node.daemon import Parts
from node.errors import UsageError
from node.net.endpoint import Endpoint, endpoint
from node.registry.config import RegistryConfig
from node.registry.forms import (
    ABOUT_PATH,
    MAX_PUBLISHED_BYTES,
    NODES_PATH,
    RECORDS_PATH,
    About,
    NodeFacts,
    Outcomes,
    RegistryError,
    Reputation,
    unpack_records,
)
from node.registry.shelf import Shelf
from protocol.errors import RemoteProtocolError
from protocol.messages import Advert, decode_advert
from protocol.receipts import DAY_MS
from protocol.signpost import decode_signpost

BODY_TIMEOUT_S: Final = 10.0
MAX_AGE_S: Final = 15
PPM: Final = 1_000_000
REPUTATION_TYP: Final = "coalesced-reputation+jwt"


class RegistryServer:
    """Serves what one node knows. `attach` before the port opens, `close` when the node has stopped."""

    def __init__(self, config: RegistryConfig, parts: Parts, own: Endpoint) -> None:
        """`own`: this node's advertised endpoint, which decides what others' adverts may point to."""
        self._parts = parts
        self._own = own
        self._rates = RequestRates(config.requests_per_minute)
        self._cards = SellerCards(parts.env.unix_ms)
        self._certificates = SellerCertificates(parts)
        self.shelf = Shelf(parts.identity.public_key, parts.network, config, find=self._find, unix_ms=parts.env.unix_ms)

    def attach(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get(ABOUT_PATH, self._about)
        app.router.add_get(RECORDS_PATH + "/{key}", self._records)
        app.router.add_post(RECORDS_PATH, self._publish)
        app.router.add_get(NODES_PATH + "/{did}", self._node)
        app.router.add_get(NODES_PATH + "/{did}/card", self._card)
        app.router.add_get(NODES_PATH + "/{did}/certificates", self._shown_certificates)

    async def close(self) -> None:
        """Close its connections."""
        await self._cards.close()

    async def _find(self, key: bytes, timeout_s: float) -> list[Record] | None:
        if not self._parts.discovery.contacts():
            return None
        return await self._parts.discovery.find(key, timeout_s=timeout_s)

    # --- routes

    async def _about(self, request: web.Request) -> web.Response:
        self._paced(request)
        about = About(
            registry=did_key(self._parts.identity.public_key),
            network=self._parts.network,
            version=__version__,
            records=len(self.shelf),
            publishers=self.shelf.publishers,
        )
        return _tagged(request, msgspec.json.encode(about))

    async def _records(self, request: web.Request) -> web.Response:
        self._paced(request)
        key = _hex_id(request.match_info["key"], "the key")
        after = request.query.get("after")
        page = await self.shelf.page(key, None if after is None else _hex_id(after, "after"))
        return _tagged(request, msgspec.json.encode(page))

    async def _publish(self, request: web.Request) -> web.Response:
        self._paced(request)
        body = await read_body(
            request, max_bytes=MAX_PUBLISHED_BYTES, timeout_s=BODY_TIMEOUT_S, limit="one publication", refuse=_Refused
        )
        try:
            raws = unpack_records(body)
        except RegistryError as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
        outcomes = []
        for number, raw in enumerate(raws):
            if number:
                self._paced(request)
            outcomes.append(self.shelf.take(raw, request.remote or "0.0.0.0"))  # noqa: S104  # an unknown address
        return web.Response(
            body=msgspec.json.encode(Outcomes(outcomes=tuple(outcomes))), content_type="application/json"
        )

    async def _node(self, request: web.Request) -> web.Response:
        self._paced(request)
        key = _public_key(request)
        adverts = self._adverts(key)
        facts = NodeFacts(
            did=did_key(key),
            skills=tuple(sorted({label for _, labels, _ in adverts for label in labels})),
            endpoints=tuple(sorted({str(where) for where, _, _ in adverts})),
            certificates_sha256=tuple(sorted({digest.hex() for _, _, digest in adverts if digest})),
            reputation=await self._reputation(key),
        )
        if not adverts and not facts.reputation:
            raise _Refused(HTTPStatus.NOT_FOUND, "nothing is known of that node here")
        return _tagged(request, msgspec.json.encode(facts))

    async def _card(self, request: web.Request) -> web.Response:
        return await self._fetched(request, self._cards.of)

    async def _shown_certificates(self, request: web.Request) -> web.Response:
        return await self._fetched(request, self._certificates.of)

    async def _fetched(self, request: web.Request, of: Callable[[bytes, Endpoint], Awaitable[bytes]]) -> web.Response:
        """What a node that is on the shelf says of itself."""
        self._paced(request)
        key = _public_key(request)
        places = [where for where, _, _ in self._adverts(key) if where.may_be_dialled_from(self._own)]
        if not places:
            raise _Refused(HTTPStatus.NOT_FOUND, "no living advert of that node is known here")
        try:
            return _tagged(request, await of(key, places[0]))
        except FetchError as error:
            raise _Refused(HTTPStatus.BAD_GATEWAY, str(error)) from error

    # --- what is known of a node

    def _adverts(self, key: bytes) -> list[tuple[Endpoint, tuple[str, ...], bytes | None]]:
        """Of each living record: where its publisher is, which skills it names, and its certificate's digest."""
        found = []
        for record in self.shelf.of(key):
            try:
                found.append(_read(record))
            except (RemoteProtocolError, UsageError):
                continue
        return found

    async def _reputation(self, key: bytes) -> str:
        """What the chain comes to for a node, signed; empty where there is no chain, or no account of its."""
        community = self._parts.community
        try:
            following = community.following
            state = following.state
        except NotCommittedError:
            return ""
        from node.ledger.reputation.standing import standing  # numpy: see node/decision/__init__.py

        day = self._parts.env.unix_ms() // DAY_MS
        found = await self._parts.env.offload(standing, state, key, day)
        if found is None:
            return ""
        reputation = Reputation(
            sub=did_key(key),
            chain=following.machine.chain.hex(),
            height=state.chain.height,
            day=day,
            good_ppm=round(found.level_1.successes * PPM),
            bad_ppm=round(found.level_1.failures * PPM),
            ratings=found.ratings,
            disputed=found.disputed,
            unrated=found.unrated,
        )
        return sign_compact(self._parts.identity, msgspec.json.encode(reputation), typ=REPUTATION_TYP)

    def _paced(self, request: web.Request) -> None:
        pace(self._rates, request.remote or "", setting="registry.requests_per_minute", refuse=_Refused)


def _read(record: Record) -> tuple[Endpoint, tuple[str, ...], bytes | None]:
    try:
        advert: Advert = decode_advert(record.body)
    except RemoteProtocolError:
        signpost = decode_signpost(record.body)
        return endpoint(signpost.host, signpost.port), tuple(offer.skill for offer in signpost.offers), None
    return endpoint(advert.host, advert.port), (advert.skill,), advert.certificate_sha256


def _hex_id(text: str, name: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 20 or text != text.lower():
        raise _Refused(HTTPStatus.BAD_REQUEST, f"{name} is 40 lower-case hexadecimal digits")
    return found


def _public_key(request: web.Request) -> bytes:
    try:
        return parse_did_key(request.match_info["did"])
    except ValueError as error:
        raise _Refused(HTTPStatus.BAD_REQUEST, f"a node is named by its did:key: {error}") from error


def _tagged(request: web.Request, body: bytes) -> web.Response:
    """The body with its entity tag, or 304 for whoever has it already."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={MAX_AGE_S}"}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")]
    if etag in known or "*" in known:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type="application/json", headers=headers)


class _Refused(web.HTTPException):
    """An HTTP error with a JSON body."""

    def __init__(self, status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> None:
        self.status_code = int(status)
        body = msgspec.json.encode({"error": {"code": int(status), "message": text}}).decode()
        super().__init__(headers=headers, text=body, content_type="application/json")
