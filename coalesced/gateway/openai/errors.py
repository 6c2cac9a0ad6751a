"""Errors in the ecosystem's shape: {"error": {"message", "type", "param", "code"}}, with statuses that clients expect.

Clients try again by themselves after 408, 409, 429 and 5xx. A task that has failed may have cost money already, so
every error says `x-should-retry: false`, but for the one that was refused before anything began.
"""

from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from coalesced.cli.escape import escaped_block
from node.errors import NodeError

STATUS: Final = {
    "usage": HTTPStatus.BAD_REQUEST,
    "bad_input": HTTPStatus.BAD_REQUEST,
    "unknown_skill": HTTPStatus.NOT_FOUND,
    "model_not_found": HTTPStatus.NOT_FOUND,
    "no_offer": HTTPStatus.NOT_FOUND,
    "refused": HTTPStatus.FORBIDDEN,
    "timed_out": HTTPStatus.GATEWAY_TIMEOUT,
    "busy": HTTPStatus.TOO_MANY_REQUESTS,
}
"""By the node's own codes; whatever else goes wrong with a task is a bad gateway."""
TYPES: Final = {
    HTTPStatus.BAD_REQUEST: "invalid_request_error",
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "invalid_request_error",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "invalid_request_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}


class RequestError(Exception):
    """A request that is refused: by its form, or by what it names."""

    def __init__(
        self, text: str, *, param: str | None = None, code: str = "usage", status: HTTPStatus = HTTPStatus.BAD_REQUEST
    ) -> None:
        super().__init__(text)
        self.param = param
        self.code = code
        self.status = status


class TaskEndedError(Exception):
    """A task that ended without a result."""

    def __init__(self, code: str, text: str, task_id: str) -> None:
        super().__init__(text)
        self.code = code
        self.task_id = task_id


def error_body(status: HTTPStatus, code: str, text: str, param: str | None = None) -> dict[str, object]:
    """The JSON object that says what went wrong. Its text may quote a seller, and clients print it."""
    text = escaped_block(text)
    return {"error": {"message": text, "type": TYPES.get(status, "api_error"), "param": param, "code": code}}


def error_reply(status: HTTPStatus, code: str, text: str, param: str | None = None) -> web.Response:
    """The same as a reply."""
    headers = {} if code == "busy" else {"x-should-retry": "false"}
    body = msgspec.json.encode(error_body(status, code, text, param))
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def reply_to(error: RequestError | TaskEndedError | NodeError) -> web.Response:
    """The reply that an error is."""
    if isinstance(error, RequestError):
        return error_reply(error.status, error.code, str(error), error.param)
    reply = error_reply(STATUS.get(error.code, HTTPStatus.BAD_GATEWAY), error.code, str(error))
    if isinstance(error, TaskEndedError):
        reply.headers["x-coalesced-task"] = error.task_id
    return reply
