"""The door of the A2A server: size, credentials, rate, version and extensions of a request, before its meaning."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import msgspec
from a2a.auth.user import User
from a2a.extensions.common import HTTP_EXTENSION_HEADER, get_requested_extensions
from a2a.server.context import ServerCallContext
from a2a.utils.constants import A2A_JSON_MEDIA_TYPE, PROTOCOL_VERSION_0_3, PROTOCOL_VERSION_1_0, VERSION_HEADER
from a2a.utils.errors import ContentTypeNotSupportedError, ExtensionSupportRequiredError, VersionNotSupportedError
from aiohttp import web

from coalesced.gateway.a2a.callers import Caller, Callers, UnknownCallerError
from coalesced.gateway.a2a.http_signatures import SignedRequest
from coalesced.gateway.limits import pace, read_body
from coalesced.gateway.quotas import RequestRates

BODY_TIMEOUT_S: Final = 60.0
"""A request of 4 MiB must come in this time: 70 kB/s."""
JSON_TYPES: Final = ("application/json", A2A_JSON_MEDIA_TYPE)
CHALLENGE: Final = 'Bearer realm="a2a", Signature realm="a2a", algs="ed25519"'


class CallerUser(User):
    """A caller as the SDK wants it: its name is whose tasks are seen."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    @property
    def is_authenticated(self) -> bool:
        """Whether the caller showed credentials."""
        return self.caller.is_known

    @property
    def user_name(self) -> str:
        """The caller's name. Nobody's is empty: all without a name would share their tasks."""
        return self.caller.name


@dataclass(frozen=True, slots=True)
class Entry:
    """A request that was let in."""

    body: bytes
    media_type: str
    version: str
    requested: frozenset[str]
    echoed: tuple[str, ...]
    """Those of the requested extensions that this agent knows: the answer's A2A-Extensions."""
    context: ServerCallContext

    @property
    def headers(self) -> dict[str, str]:
        """What every answer to this request carries."""
        return {HTTP_EXTENSION_HEADER: ", ".join(self.echoed)} if self.echoed else {}

    def check_form(self) -> None:
        """ContentTypeNotSupportedError unless the body, if there is one, calls itself JSON."""
        if self.body and self.media_type not in JSON_TYPES:
            raise ContentTypeNotSupportedError(f"send {' or '.join(JSON_TYPES)}, not {self.media_type[:60]}")

    def check_known(self) -> None:
        """An HTTP error, 401, unless the caller showed credentials."""
        if not self.context.user.is_authenticated:
            text = "this is shown to callers with credentials: sign the request (RFC 9421) or send a bearer token"
            raise refusal(HTTPStatus.UNAUTHORIZED, text, {"WWW-Authenticate": CHALLENGE})

    def check(self, required: frozenset[str], *, version: str = PROTOCOL_VERSION_1_0) -> None:
        """VersionNotSupportedError or ExtensionSupportRequiredError unless the request suits this agent."""
        if _release(self.version) != version:
            raise VersionNotSupportedError(
                f"A2A version {self.version[:20]!r} is not spoken here; send A2A-Version: {version}"
            )
        if missing := required - self.requested:
            header = f"{HTTP_EXTENSION_HEADER}: {', '.join(sorted(missing))}"
            raise ExtensionSupportRequiredError(f"this agent requires extensions: send {header}")


class Door:
    """Lets requests in. What it refuses leaves as an HTTP error with a JSON body."""

    def __init__(
        self,
        callers: Callers,
        rates: RequestRates,
        *,
        base_url: str,
        max_request_bytes: int,
        supported: frozenset[str],
        unix_ms: Callable[[], int],
    ) -> None:
        """`base_url`: this agent's, as its card has it. `supported`: the extensions that it knows."""
        self._callers = callers
        self._base = urlsplit(base_url)
        self._rates = rates
        self._max_request_bytes = max_request_bytes
        self._supported = supported
        self._unix_ms = unix_ms

    async def enter(self, request: web.Request) -> Entry:
        """Read a request and find out whose it is."""
        body = await read_body(
            request,
            max_bytes=self._max_request_bytes,
            timeout_s=BODY_TIMEOUT_S,
            limit="a2a.max_request_bytes",
            refuse=refusal,
        )
        caller = self._caller(request, body)
        requested = frozenset(get_requested_extensions(request.headers.getall(HTTP_EXTENSION_HEADER, [])))
        return Entry(
            body=body,
            media_type=request.content_type,
            version=_version(request),
            requested=requested,
            echoed=tuple(sorted(requested & self._supported)),
            context=ServerCallContext(user=CallerUser(caller), requested_extensions=set(requested)),
        )

    def _caller(self, request: web.Request, body: bytes) -> Caller:
        address = request.remote or ""
        # Before the signature is looked at, which costs the most: by address. Then each caller by its own name.
        self._paced(f"from {address}")
        try:
            caller = self._callers.identify(self._signed(request, body), address, self._unix_ms() // 1000)
        except UnknownCallerError as error:
            raise refusal(HTTPStatus.UNAUTHORIZED, str(error), {"WWW-Authenticate": CHALLENGE}) from error
        self._paced(caller.name)
        return caller

    def _signed(self, request: web.Request, body: bytes) -> SignedRequest:
        """The request as one that was signed for the address on this agent's card.

        Not for what its Host header says: an agent could send on to this one what its own callers signed for it.
        """
        path, _, query = request.raw_path.partition("?")
        headers = {name.lower(): ", ".join(request.headers.getall(name)) for name in request.headers}
        base = self._base
        return SignedRequest(
            request.method, base.scheme, base.netloc, base.path.rstrip("/") + path, query, headers, body
        )

    def _paced(self, who: str) -> None:
        pace(self._rates, who, setting="a2a.requests_per_minute", refuse=refusal)


def refusal(status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> web.HTTPException:
    """An HTTP error in the shape of google.rpc.Status, as the HTTP+JSON binding gives its own."""
    body = msgspec.json.encode({"error": {"code": status, "status": status.name, "message": text}})
    kinds = {
        HTTPStatus.UNAUTHORIZED: web.HTTPUnauthorized,
        HTTPStatus.TOO_MANY_REQUESTS: web.HTTPTooManyRequests,
        HTTPStatus.REQUEST_TIMEOUT: web.HTTPRequestTimeout,
        HTTPStatus.NOT_FOUND: web.HTTPNotFound,
    }
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return web.HTTPRequestEntityTooLarge(0, 0, text=body.decode(), content_type="application/json")
    return kinds[status](headers=headers, text=body.decode(), content_type="application/json")


def _version(request: web.Request) -> str:
    """What the client speaks, by header or parameter; without a word, it is older than the header (A2A 1.0, 3.6.1)."""
    named = request.headers.get(VERSION_HEADER) or request.query.get(VERSION_HEADER, "")
    return named.strip() or PROTOCOL_VERSION_0_3


def _release(version: str) -> str:
    """Major.Minor: a patch changes nothing on the wire."""
    return ".".join(version.split(".")[:2])
