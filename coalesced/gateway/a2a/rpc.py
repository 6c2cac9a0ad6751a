"""The JSON-RPC binding (A2A 1.0, section 9): one address, the method in the body, errors in the body."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import msgspec
import structlog
from a2a.server.request_handlers.request_handler import RequestHandler
from a2a.utils.errors import (
    A2AError,
    InternalError,
    InvalidParamsError,
    InvalidRequestError,
    JSONParseError,
    MethodNotFoundError,
)
from aiohttp import web
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from coalesced.gateway.a2a.door import Entry
from coalesced.gateway.a2a.legacy import LegacyRpc
from coalesced.gateway.a2a.operations import OPERATIONS, Id, Json, Operation, error_response, perform, stream
from coalesced.gateway.a2a.streams import EventStreams

log = structlog.get_logger()

MAX_QUOTED_CHARS = 300
"""Of what a parser says about a malformed request."""


class RpcBinding:
    """Answers JSON-RPC requests."""

    def __init__(
        self,
        handler: RequestHandler,
        enter: Callable[[web.Request], Awaitable[Entry]],
        streams: EventStreams,
        required: frozenset[str],
        legacy: LegacyRpc | None,
    ) -> None:
        """`enter` lets a request in or raises; `required` are the extensions that a caller must know."""
        self._handler = handler
        self._enter = enter
        self._streams = streams
        self._required = required
        self._legacy = legacy

    def routes(self, path: str) -> list[web.RouteDef]:
        """The one route; some clients write a slash behind whatever address they are given."""
        return [web.post(path, self._answer), web.post(f"{path}/", self._answer)]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        entry = await self._enter(request)
        request_id: Id = None
        try:
            entry.check_form()
            call = _call(entry.body)
            request_id = _id(call)
            method = _method(call)
            if self._legacy is not None and self._legacy.speaks(method):
                return await self._legacy.answer(request, entry, call, request_id)
            if (operation := OPERATIONS.get(method)) is None:
                raise MethodNotFoundError(f"there is no method {method[:64]!r} in A2A 1.0")
            entry.check(self._required)
            if operation.is_for_known:
                entry.check_known()
            params = _params(operation, call)
            if operation.is_stream:
                events = self._events(operation, params, entry, request_id)
                return await self._streams.reply(request, events, entry.headers)
            result = await perform(self._handler, operation, params, entry.context)
            return _reply({"jsonrpc": "2.0", "id": request_id, "result": result}, entry)
        except A2AError as error:
            return _reply(error_response(request_id, error), entry)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception as error:  # noqa: BLE001  the edge: a bug in one call must not show itself to its caller
            return _reply(error_response(request_id, bug(error, request)), entry)

    async def _events(
        self, operation: Operation, params: Message, entry: Entry, request_id: Id
    ) -> AsyncGenerator[bytes]:
        """The stream's events as responses; what goes wrong after the first is the last of them."""
        has_begun = False
        try:
            async for event in stream(self._handler, operation, params, entry.context):
                yield msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "result": event})
                has_begun = True
        except A2AError as error:
            if not has_begun:
                raise
            yield msgspec.json.encode(error_response(request_id, error))


def _reply(body: Json, entry: Entry) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json", headers=entry.headers)


def bug(error: Exception, request: web.Request) -> InternalError:
    """What a caller hears of a bug of ours; the log has it whole."""
    log.error("a2a.call_failed", path=request.path, exc_info=error)
    return InternalError("an internal error; this node's log has the details")


def _call(body: bytes) -> dict[str, Any]:
    """The request object; A2AError when it is none."""
    try:
        call = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JSONParseError(f"the body is not JSON: {str(error)[:MAX_QUOTED_CHARS]}") from error
    if not isinstance(call, dict):
        raise InvalidRequestError("write one JSON-RPC request object; batches are not supported")
    return call


def _id(call: dict[str, Any]) -> Id:
    """The request's id; InvalidRequestError for one that cannot be."""
    request_id = call.get("id")
    if isinstance(request_id, bool) or not isinstance(request_id, str | int | None):
        raise InvalidRequestError("the id must be a string, a whole number or null")
    return request_id


def _method(call: dict[str, Any]) -> str:
    """The name of the method; InvalidRequestError when the request is no JSON-RPC 2.0."""
    method = call.get("method")
    if call.get("jsonrpc") != "2.0":
        raise InvalidRequestError("jsonrpc must be exactly '2.0'")
    if not isinstance(method, str) or not method:
        raise InvalidRequestError("a method is required")
    return method


def _params(operation: Operation, call: dict[str, Any]) -> Message:
    try:
        return ParseDict(call.get("params") or {}, operation.params(), ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidParamsError(data={"parseError": str(error)[:MAX_QUOTED_CHARS]}) from error
