"""The operations of A2A 1.0, one row each: what both bindings decode, call and encode."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final

from a2a.server.context import ServerCallContext
from a2a.server.request_handlers.request_handler import RequestHandler
from a2a.types import a2a_pb2 as pb
from a2a.utils.error_handlers import build_error_details
from a2a.utils.errors import JSON_RPC_ERROR_CODE_MAP, A2AError, InternalError, TaskNotFoundError
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

Json = dict[str, Any]
Id = str | int | None
"""Of a JSON-RPC request."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its JSON-RPC name, what it takes, the handler's method, and whether it answers with a stream.

    `is_for_known`: callers without credentials may not, even where they may do all else.
    """

    name: str
    params: type[Message]
    call: str
    is_stream: bool = False
    is_for_known: bool = False


OPERATIONS: Final[dict[str, Operation]] = {
    operation.name: operation
    for operation in (
        Operation("SendMessage", pb.SendMessageRequest, "on_message_send"),
        Operation("SendStreamingMessage", pb.SendMessageRequest, "on_message_send_stream", is_stream=True),
        Operation("GetTask", pb.GetTaskRequest, "on_get_task"),
        Operation("ListTasks", pb.ListTasksRequest, "on_list_tasks"),
        Operation("CancelTask", pb.CancelTaskRequest, "on_cancel_task"),
        Operation("SubscribeToTask", pb.SubscribeToTaskRequest, "on_subscribe_to_task", is_stream=True),
        Operation(
            "CreateTaskPushNotificationConfig",
            pb.TaskPushNotificationConfig,
            "on_create_task_push_notification_config",
        ),
        Operation(
            "GetTaskPushNotificationConfig",
            pb.GetTaskPushNotificationConfigRequest,
            "on_get_task_push_notification_config",
        ),
        Operation(
            "ListTaskPushNotificationConfigs",
            pb.ListTaskPushNotificationConfigsRequest,
            "on_list_task_push_notification_configs",
        ),
        Operation(
            "DeleteTaskPushNotificationConfig",
            pb.DeleteTaskPushNotificationConfigRequest,
            "on_delete_task_push_notification_config",
        ),
        Operation(
            "GetExtendedAgentCard",
            pb.GetExtendedAgentCardRequest,
            "on_get_extended_agent_card",
            is_for_known=True,
        ),
    )
}


async def perform(
    handler: RequestHandler, operation: Operation, params: Message, context: ServerCallContext
) -> Json | None:
    """Carry out one operation that answers once; its answer as JSON. A2AError says what is wrong."""
    answer = await getattr(handler, operation.call)(params, context)
    match answer:
        case pb.Task() if operation.call == "on_message_send":
            return {"task": MessageToDict(answer)}
        case pb.Message():
            return {"message": MessageToDict(answer)}
        case pb.ListTasksResponse():
            return _listed(answer, params)
        case None if operation.call == "on_delete_task_push_notification_config":
            return None
        case None:
            raise TaskNotFoundError
        case _:
            answered: Json = MessageToDict(answer)
            return answered


async def stream(
    handler: RequestHandler, operation: Operation, params: Message, context: ServerCallContext
) -> AsyncGenerator[Json]:
    """Carry out one operation that answers with events."""
    events = getattr(handler, operation.call)(params, context)
    try:
        async for event in events:
            yield _event(event)
    finally:
        await events.aclose()


def _event(event: Message) -> Json:
    """One event as a StreamResponse."""
    match event:
        case pb.Task():
            return {"task": MessageToDict(event)}
        case pb.Message():
            return {"message": MessageToDict(event)}
        case pb.TaskStatusUpdateEvent():
            return {"statusUpdate": MessageToDict(event)}
        case pb.TaskArtifactUpdateEvent():
            return {"artifactUpdate": MessageToDict(event)}
        case _:
            raise TypeError(f"a {type(event).__name__} is no event of a stream")


def _listed(answer: pb.ListTasksResponse, params: Message) -> Json:
    """A page of tasks: its required fields also where they are empty, artifacts only where they were asked for."""
    listed: Json = MessageToDict(answer, always_print_fields_with_no_presence=True)
    if isinstance(params, pb.ListTasksRequest) and not params.include_artifacts:
        for task in listed["tasks"]:
            task.pop("artifacts", None)
    return listed


def error_response(request_id: Id, error: A2AError) -> Json:
    """An error as JSON-RPC has it. The SDK's own knows no parse error."""
    code = JSON_RPC_ERROR_CODE_MAP.get(type(error), JSON_RPC_ERROR_CODE_MAP[InternalError])
    told = {"code": code, "message": str(error), "data": build_error_details(error)}
    return {"jsonrpc": "2.0", "id": request_id, "error": told}
