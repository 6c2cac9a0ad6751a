"""The HTTP+JSON binding (A2A 1.0, section 11): an address an operation, errors as google.rpc.Status."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from a2a.server.request_handlers.request_handler import RequestHandler
from a2a.utils.constants import A2A_JSON_MEDIA_TYPE
from a2a.utils.error_handlers import build_rest_error_payload
from a2a.utils.errors import (
    A2AError,
    ContentTypeNotSupportedError,
    InvalidAgentResponseError,
    InvalidParamsError,
    TaskNotCancelableError,
)
from a2a.utils.proto_utils import parse_params
from aiohttp import web
from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import Message
from multidict import MultiMapping

from coalesced.gateway.a2a.door import Entry
from coalesced.gateway.a2a.operations import OPERATIONS, Json, Operation, perform, stream
from coalesced.gateway.a2a.rpc import MAX_QUOTED_CHARS, bug
from coalesced.gateway.a2a.streams import EventStreams

log = structlog.get_logger()

ROUTES: Final[tuple[tuple[str, str, str], ...]] = (
    ("POST", "/message:send", "SendMessage"),
    ("POST", "/message:stream", "SendStreamingMessage"),
    ("GET", "/tasks", "ListTasks"),
    ("POST", "/tasks/{id}:cancel", "CancelTask"),
    ("GET", "/tasks/{id}:subscribe", "SubscribeToTask"),
    ("POST", "/tasks/{id}:subscribe", "SubscribeToTask"),
    ("GET", "/tasks/{id}", "GetTask"),
    ("POST", "/tasks/{task_id}/pushNotificationConfigs", "CreateTaskPushNotificationConfig"),
    ("GET", "/tasks/{task_id}/pushNotificationConfigs", "ListTaskPushNotificationConfigs"),
    ("GET", "/tasks/{task_id}/pushNotificationConfigs/{id}", "GetTaskPushNotificationConfig"),
    ("DELETE", "/tasks/{task_id}/pushNotificationConfigs/{id}", "DeleteTaskPushNotificationConfig"),
    ("GET", "/extendedAgentCard", "GetExtendedAgentCard"),
)
"""Method, path and operation; the names in braces are the params' fields. More special paths come first."""
STATUSES: Final[dict[type[Exception], int]] = {
    TaskNotCancelableError: HTTPStatus.CONFLICT,
    ContentTypeNotSupportedError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    InvalidAgentResponseError: HTTPStatus.BAD_GATEWAY,
}
"""Of A2A 1.0, 5.4; the SDK answers all three otherwise."""


class RestBinding:
    """Answers requests in the manner of REST."""

    def __init__(
        self,
        handler: RequestHandler,
        enter: Callable[[web.Request], Awaitable[Entry]],
        streams: EventStreams,
        required: frozenset[str],
    ) -> None:
        """`enter` lets a request in or raises; `required` are the extensions that a caller must know."""
        self._handler = handler
        self._enter = enter
        self._streams = streams
        self._required = required

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """A route an operation, below `prefix`."""
        return [
            web.route(method, prefix + path, self._route(OPERATIONS[operation])) for method, path, operation in ROUTES
        ]

    def _route(self, operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            entry = await self._enter(request)
            try:
                entry.check_form()
                entry.check(self._required)
                if operation.is_for_known:
                    entry.check_known()
                params = _params(operation, request, entry.body)
                if operation.is_stream:
                    events = self._events(operation, params, entry, request)
                    return await self._streams.reply(request, events, entry.headers)
                result = await perform(self._handler, operation, params, entry.context)
                return _reply(result or {}, HTTPStatus.OK, entry, _media_type(request))
            except (A2AError, ParseError) as error:
                return _error(error, entry)
            except (ConnectionError, web.HTTPException):
                raise
            except Exception as error:  # noqa: BLE001  the edge: a bug in one call must not show itself to its caller
                return _error(bug(error, request), entry)

        return answer

    async def _events(
        self, operation: Operation, params: Message, entry: Entry, request: web.Request
    ) -> AsyncGenerator[bytes]:
        """The stream's events; what goes wrong after the first is the last of them."""
        has_begun = False
        try:
            async for event in stream(self._handler, operation, params, entry.context):
                yield msgspec.json.encode(event)
                has_begun = True
        except A2AError as error:
            if not has_begun:
                raise
            yield msgspec.json.encode(error_payload(error))


def _error(error: Exception, entry: Entry) -> web.Response:
    payload = error_payload(error)
    return _reply(payload, payload["error"]["code"], entry, "application/json")


def error_payload(error: Exception) -> Json:
    """An error as google.rpc.Status, with the protocol's own HTTP status where the SDK has another."""
    payload: Json = build_rest_error_payload(error)
    payload["error"]["code"] = STATUSES.get(type(error), payload["error"]["code"])
    return payload


def _reply(body: Json, status: int, entry: Entry, media_type: str) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type=media_type, headers=entry.headers)


def _media_type(request: web.Request) -> str:
    """A2A's own media type for those who ask for it; plain JSON for all others, which the kit insists on."""
    return A2A_JSON_MEDIA_TYPE if A2A_JSON_MEDIA_TYPE in request.headers.get("Accept", "") else "application/json"


class _Query:
    """aiohttp's query in the words of the SDK's reader, which knows starlette's."""

    def __init__(self, query: MultiMapping[str]) -> None:
        self._query = query

    def keys(self) -> list[str]:
        """Each name once."""
        return list(dict.fromkeys(self._query.keys()))

    def getlist(self, name: str) -> list[str]:
        """All values of a name."""
        return self._query.getall(name)


def _params(operation: Operation, request: web.Request, body: bytes) -> Message:
    """What an operation takes, from the body or the query, then from the path."""
    params = operation.params()
    fields = request.match_info
    try:
        if request.method == "POST" and body:
            Parse(body, params, ignore_unknown_fields=True)
        elif request.method != "POST":
            query: Any = _Query(request.query)
            parse_params(query, params)
        for name, value in fields.items():
            setattr(params, name, value)
    except ParseError:
        raise
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidParamsError(data={"parseError": str(error)[:MAX_QUOTED_CHARS]}) from error
    return params
