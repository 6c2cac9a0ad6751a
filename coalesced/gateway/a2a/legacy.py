"""A2A 0.3 over JSON-RPC, for clients from before 1.0: the SDK's translation of its messages, on the same handler."""

from collections.abc import AsyncGenerator
from typing import Any, Final

import msgspec
from a2a.compat.v0_3 import types as old
from a2a.compat.v0_3.request_handler import RequestHandler03
from a2a.server.context import ServerCallContext
from a2a.server.request_handlers.request_handler import RequestHandler
from a2a.utils.constants import PROTOCOL_VERSION_0_3
from a2a.utils.errors import A2AError, InvalidParamsError
from aiohttp import web
from pydantic import BaseModel, ValidationError

from coalesced.gateway.a2a.door import Entry
from coalesced.gateway.a2a.operations import error_response
from coalesced.gateway.a2a.streams import EventStreams

METHODS: Final[dict[str, tuple[type[BaseModel], str]]] = {
    "message/send": (old.SendMessageRequest, "on_message_send"),
    "message/stream": (old.SendStreamingMessageRequest, "on_message_send_stream"),
    "tasks/get": (old.GetTaskRequest, "on_get_task"),
    "tasks/cancel": (old.CancelTaskRequest, "on_cancel_task"),
    "tasks/resubscribe": (old.TaskResubscriptionRequest, "on_subscribe_to_task"),
    "tasks/pushNotificationConfig/set": (
        old.SetTaskPushNotificationConfigRequest,
        "on_create_task_push_notification_config",
    ),
    "tasks/pushNotificationConfig/get": (
        old.GetTaskPushNotificationConfigRequest,
        "on_get_task_push_notification_config",
    ),
    "tasks/pushNotificationConfig/list": (
        old.ListTaskPushNotificationConfigRequest,
        "on_list_task_push_notification_configs",
    ),
    "tasks/pushNotificationConfig/delete": (
        old.DeleteTaskPushNotificationConfigRequest,
        "on_delete_task_push_notification_config",
    ),
    "agent/getAuthenticatedExtendedCard": (old.GetAuthenticatedExtendedCardRequest, "on_get_extended_agent_card"),
}
STREAMS: Final = frozenset({"message/stream", "tasks/resubscribe"})


class LegacyRpc:
    """Answers JSON-RPC requests of version 0.3."""

    def __init__(self, handler: RequestHandler, streams: EventStreams, required: frozenset[str]) -> None:
        self._handler = RequestHandler03(handler)
        self._streams = streams
        self._required = required

    def speaks(self, method: str) -> bool:
        """Whether `method` is one of 0.3."""
        return method in METHODS

    async def answer(
        self, request: web.Request, entry: Entry, call: dict[str, Any], request_id: str | int | None
    ) -> web.StreamResponse:
        """The answer to one request; A2AError says what is wrong with it."""
        entry.check(self._required, version=PROTOCOL_VERSION_0_3)
        kind, name = METHODS[call["method"]]
        try:
            asked = kind.model_validate(call)
        except ValidationError as error:
            raise InvalidParamsError(
                f"this is no {call['method']} of A2A 0.3: {error.error_count()} fields are wrong"
            ) from error
        if call["method"] in STREAMS:
            return await self._streams.reply(
                request, self._events(name, asked, entry.context, request_id), entry.headers
            )
        result = await getattr(self._handler, name)(asked, entry.context)
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "result": _plain(result)})
        return web.Response(body=body, content_type="application/json", headers=entry.headers)

    async def _events(
        self, name: str, asked: BaseModel, context: ServerCallContext, request_id: str | int | None
    ) -> AsyncGenerator[bytes]:
        has_begun = False
        try:
            async for event in getattr(self._handler, name)(asked, context):
                yield event.model_dump_json(by_alias=True, exclude_none=True).encode()
                has_begun = True
        except A2AError as error:
            if not has_begun:
                raise
            yield msgspec.json.encode(error_response(request_id, error))


def _plain(result: object) -> object:
    match result:
        case BaseModel():
            return result.model_dump(mode="json", by_alias=True, exclude_none=True)
        case list():
            return [_plain(item) for item in result]
        case _:
            return result
