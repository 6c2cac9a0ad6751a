"""The SDK's request handler, with its work on tasks done by runs.py, and what it leaves out or open filled in."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.agent_execution.active_task import INTERRUPTED_TASK_STATES, TERMINAL_TASK_STATES
from a2a.server.context import ServerCallContext
from a2a.server.events import Event
from a2a.server.request_handlers import DefaultRequestHandler, validate_request_params
from a2a.server.request_handlers.request_handler import validate
from a2a.server.tasks.push_notification_config_store import PushNotificationConfigStore
from a2a.server.tasks.task_store import TaskStore
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    CancelTaskRequest,
    Message,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import (
    InvalidAgentResponseError,
    InvalidParamsError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from a2a.utils.input_mode_validator import validate_input_modes
from a2a.utils.task import apply_history_length, validate_history_length

from coalesced.gateway.a2a.addresses import url_check
from coalesced.gateway.a2a.push import PushSender
from coalesced.gateway.a2a.runs import Run, Runs

NOT_YET = AgentCard(
    name="-",
    description="-",
    version="-",
    supported_interfaces=[AgentInterface(url="-", protocol_binding="JSONRPC", protocol_version="1.0")],
    capabilities=AgentCapabilities(),
    default_input_modes=["text/plain"],
    default_output_modes=["text/plain"],
    skills=[AgentSkill(id="-", name="-", description="-", tags=["-"])],
)
"""What the handler holds until there is a card: nobody is shown it, but the SDK warns of one with gaps."""


class Handler(DefaultRequestHandler):
    """Handles the operations of both bindings."""

    def __init__(
        self,
        executor: AgentExecutor,
        tasks: TaskStore,
        *,
        push_store: PushNotificationConfigStore | None,
        push_sender: PushSender | None,
        allow_private: bool,
        any_media_type: bool,
    ) -> None:
        """Without a store and a sender, no push notifications. `any_media_type`: the executor takes them all."""
        super().__init__(
            executor,
            tasks,
            NOT_YET,
            push_config_store=push_store,
            push_url_validator=url_check(allow_private=allow_private),
        )
        self._tasks = tasks
        self._any_media_type = any_media_type
        self._runs = Runs(tasks, push_sender)

    def show(self, card: AgentCard, extended_card: AgentCard | None) -> None:
        """Go by these cards from now on: what they offer is what is done."""
        self._agent_card, self.extended_agent_card = card, extended_card

    async def aclose(self) -> None:
        """Give up whatever is at work."""
        await self._runs.close()

    @validate_request_params
    async def on_message_send(self, params: SendMessageRequest, context: ServerCallContext) -> Message | Task:
        """Take a message and answer when its task has ended, waits for its caller, or has begun, as asked."""
        request = await self._request(params, context)
        at_once = params.configuration.return_immediately
        with self._runs.of(request.task_id or "") as run:
            async with aclosing(run.events(self.agent_executor, request)) as events:
                async for event in events:
                    if isinstance(event, Message):
                        return event
                    if at_once or _rests(run):
                        break
            if run.task is None:
                raise InvalidAgentResponseError("the agent said nothing")
            answer: Task = apply_history_length(run.snapshot(), params.configuration)
            return answer

    @validate_request_params
    @validate(lambda self: self._agent_card.capabilities.streaming, "Streaming is not supported by the agent")
    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event]:
        """Take a message and answer with its task's events."""
        request = await self._request(params, context)
        with self._runs.of(request.task_id or "") as run:
            async with aclosing(run.events(self.agent_executor, request)) as events:
                async for event in events:
                    yield apply_history_length(event, params.configuration) if isinstance(event, Task) else event

    @validate_request_params
    @validate(lambda self: self._agent_card.capabilities.streaming, "Streaming is not supported by the agent")
    async def on_subscribe_to_task(
        self, params: SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event]:
        """Answer with a task and what happens to it from now on."""
        stored = await self._stored(params.id, context)
        _refuse_ended(stored)
        with self._runs.of(params.id) as run:
            run.task = run.task or stored
            async with aclosing(run.later_events()) as events:
                async for event in events:
                    yield event

    @validate_request_params
    async def on_cancel_task(self, params: CancelTaskRequest, context: ServerCallContext) -> Task:
        """End a task."""
        stored = await self._stored(params.id, context)
        if stored.status.state in TERMINAL_TASK_STATES:
            raise TaskNotCancelableError
        with self._runs.of(params.id) as run:
            try:
                return await run.cancel(self.agent_executor, context, stored)
            except UnsupportedOperationError as error:
                raise TaskNotCancelableError from error

    async def _stored(self, task_id: str, context: ServerCallContext) -> Task:
        """A task of this caller's; TaskNotFoundError for any other, there or not."""
        stored = await self._tasks.get(task_id, context)
        if stored is None:
            raise TaskNotFoundError
        return stored

    async def _request(self, params: SendMessageRequest, context: ServerCallContext) -> RequestContext:
        """What the executor is given: a message with the ids of its task and context, those of its task if it has one.

        One for a task that has ended is refused.
        """
        message = params.message
        validate_history_length(params.configuration)
        if not self._any_media_type:
            validate_input_modes(message, self._agent_card)
        if message.task_id:
            stored = await self._stored(message.task_id, context)
            _refuse_ended(stored)
            if message.context_id and message.context_id != stored.context_id:
                raise InvalidParamsError(f"task {stored.id} belongs to another context than {message.context_id[:64]}")
            message.context_id = stored.context_id
        request: RequestContext = await self._request_context_builder.build(
            params=params,
            task_id=message.task_id or None,
            context_id=message.context_id or None,
            task=None,
            context=context,
        )
        if self._push_config_store and params.configuration.HasField("task_push_notification_config"):
            config = params.configuration.task_push_notification_config
            await self._reject_unsafe_push_url(config.url)
            await self._push_config_store.set_info(request.task_id or "", config, context)
        return request


def _rests(run: Run) -> bool:
    """Whether the task has ended or waits for its caller; one that failed may still have an error to raise."""
    state = run.task.status.state if run.task is not None else TaskState.TASK_STATE_UNSPECIFIED
    is_failed = state == TaskState.TASK_STATE_FAILED
    return state in INTERRUPTED_TASK_STATES or (state in TERMINAL_TASK_STATES and not is_failed)


def _refuse_ended(task: Task) -> None:
    """UnsupportedOperationError for a task to which nothing more can happen."""
    if task.status.state in TERMINAL_TASK_STATES:
        raise UnsupportedOperationError(f"task {task.id} has ended: {TaskState.Name(task.status.state)}")
