"""How the control API answers: views as JSON, errors as one JSON object, events as lines. Never a traceback."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import TypeVar

import msgspec
import structlog
from aiohttp import web

from node.errors import NodeError, UsageError
from node.views import ErrorView, EventView, View

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

V = TypeVar("V", bound=View)

log = structlog.get_logger()

STATUS_BY_CODE = {
    "usage": HTTPStatus.BAD_REQUEST,
    "refused": HTTPStatus.FORBIDDEN,
    "no_offer": HTTPStatus.NOT_FOUND,
    "timed_out": HTTPStatus.GATEWAY_TIMEOUT,
    "verification_failed": HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""HTTP statuses for tools that look at them; our own client reads the body. Every other code is a 409."""

MAX_QUOTED_CHARS = 300
"""Of what the decoder says about a malformed request."""

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def view_reply(view: View, status: int = 200) -> web.Response:
    """One view as a JSON body."""
    return web.Response(body=msgspec.json.encode(view), content_type="application/json", status=status)


def error_view(error: NodeError) -> ErrorView:
    """A node's error in the form that travels."""
    return ErrorView(code=error.code, text=str(error), exit_code=error.exit_code)


def error_reply(view: ErrorView, status: int | None = None) -> web.Response:
    """An error as a JSON body; `status` overrides the one that belongs to its code."""
    return view_reply(view, status if status is not None else STATUS_BY_CODE.get(view.code, HTTPStatus.CONFLICT))


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into an error body. A bug of ours is logged with its traceback, here only."""
    try:
        return await handler(request)
    except NodeError as error:
        return error_reply(error_view(error))
    except web.HTTPRequestEntityTooLarge as error:
        text = f"the request is larger than {request.client_max_size} bytes (control.max_request_bytes)"
        return error_reply(ErrorView(code="too_large", text=text, exit_code=2), error.status)
    except web.HTTPException as error:
        text = f"{request.method} {request.path[:200]}: {error.reason}"
        return error_reply(ErrorView(code="usage", text=text, exit_code=2), error.status)
    except ConnectionError:
        raise
    except Exception as error:  # noqa: BLE001  the edge: a bug in one call must not show a traceback to its caller
        return error_reply(_bug_view(error, request), HTTPStatus.INTERNAL_SERVER_ERROR)


def _bug_view(error: Exception, request: web.Request) -> ErrorView:
    log.error("control.call_failed", path=request.path, exc_info=error)
    text = f"a bug in the daemon ({type(error).__name__}); its log has the details"
    return ErrorView(code="internal", text=text, exit_code=1)


def is_loopback_name(host: str) -> bool:
    """Whether a Host header, with its port or without, is this machine's loopback."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return name.strip("[]") in LOOPBACK_HOSTS


@web.middleware
async def loopback_names_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a Host that is not this machine's loopback: a web page that rebinds its name reaches nothing."""
    if not is_loopback_name(request.host):
        text = f"host {request.host[:200]!r} is not this machine: use 127.0.0.1, localhost or [::1]"
        return error_reply(ErrorView(code="usage", text=text, exit_code=2), HTTPStatus.MISDIRECTED_REQUEST)
    return await handler(request)


async def stream_reply(
    request: web.Request, events: AsyncIterator[EventView], *, heartbeat_s: float, at_once: bool = False
) -> web.StreamResponse:
    """Send events as they come, one JSON object a line, until they end or the caller is gone.

    An error before the first event is an ordinary error reply; a later one is the last line. `at_once` begins the
    reply, and with it the heartbeat, before there is an event: the first may be long in coming. Leaving the stream
    closes the iterator and nothing else: the task goes on.
    """
    async with contextlib.aclosing(closable(events)) as source:
        first = None if at_once else await anext(source, None)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        try:
            await response.prepare(request)
            async with asyncio.TaskGroup() as group:
                beat = group.create_task(_heartbeat(response, heartbeat_s))
                await _send_events(request, response, first, source)
                beat.cancel()
            await response.write_eof()
        except* ConnectionError:
            log.debug("control.caller_left", path=request.path)
    return response


async def _send_events(
    request: web.Request, response: web.StreamResponse, first: EventView | None, rest: AsyncIterator[EventView]
) -> None:
    try:
        if first is not None:
            await response.write(_line(first))
        async for event in rest:
            await response.write(_line(event))
    except NodeError as error:
        await response.write(_line(error_view(error)))
    except ConnectionError:
        raise
    except Exception as error:  # noqa: BLE001  the edge, as above; the reply has begun, so the error is its last line
        await response.write(_line(_bug_view(error, request)))


async def closable(events: AsyncIterator[EventView]) -> AsyncGenerator[EventView]:
    """The same events, from a source that can be closed."""
    try:
        async for event in events:
            yield event
    finally:
        if hasattr(events, "aclose"):
            await events.aclose()


async def _heartbeat(response: web.StreamResponse, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        await response.write(b"\n")


def _line(view: View) -> bytes:
    return msgspec.json.encode(view) + b"\n"


async def read_view(request: web.Request, kind: type[V]) -> V:
    """The request's body as `kind`; UsageError says what is wrong with it."""
    body = await request.read()
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # The decoder quotes a wrong value whole, however long it is.
        raise UsageError(
            f"the request is not a {kind.__struct_config__.tag}: {str(error)[:MAX_QUOTED_CHARS]}"
        ) from error
