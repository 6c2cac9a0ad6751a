"""The SDK's request handler, with what it leaves out or leaves open filled in."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from a2a.server.agent_execution import AgentExecutor
from a2a.server.agent_execution.active_task import TERMINAL_TASK_STATES
from a2a.server.context import ServerCallContext
from a2a.server.events import Event
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks.push_notification_config_store import PushNotificationConfigStore
from a2a.server.tasks.task_store import TaskStore
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    Message,
    SendMessageRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import UnsupportedOperationError

from coalesced.gateway.a2a.push import PushSender, url_check

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
PARKED_S = 0.05
"""How long a task that waits for its caller keeps its coroutines: longer only serves an answer within that time."""


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
            push_sender=push_sender,
            push_url_validator=url_check(allow_private=allow_private),
            validate_input_modes=not any_media_type,
            interrupted_task_timeout=PARKED_S,
        )

    def show(self, card: AgentCard, extended_card: AgentCard | None) -> None:
        """Go by these cards from now on: what they offer is what is done."""
        self._agent_card, self.extended_agent_card = card, extended_card

    async def on_message_send(self, params: SendMessageRequest, context: ServerCallContext) -> Message | Task:
        """Take a message and answer when its task has ended, waits for its caller, or has begun, as asked."""
        await self._name_context(params, context)
        answer: Message | Task = await super().on_message_send(params, context)
        return answer

    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event]:
        """Take a message and answer with its task's events."""
        await self._name_context(params, context)
        events: AsyncGenerator[Any] = super().on_message_send_stream(params, context)
        async with aclosing(events):
            async for event in events:
                yield event

    async def _name_context(self, params: SendMessageRequest, context: ServerCallContext) -> None:
        """A message for a task is of that task's context, named or not; the SDK would make one up.

        One for a task that has ended is refused here: the SDK would do so after starting coroutines that it never ends.
        """
        message = params.message
        stored = await self.task_store.get(message.task_id, context) if message.task_id else None
        if not isinstance(stored, Task):
            return
        if stored.status.state in TERMINAL_TASK_STATES:
            ended = TaskState.Name(stored.status.state)
            raise UnsupportedOperationError(f"task {stored.id} takes no more messages: {ended}")
        message.context_id = message.context_id or stored.context_id
