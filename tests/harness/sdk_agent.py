"""An A2A agent as others build them: the SDK's own server on starlette and uvicorn, doing real work on texts."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import uvicorn
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import a2a_pb2 as pb
from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette

from crypto.identity import Identity
from crypto.jcs import canonical
from crypto.jws import sign_parts

SKILL = "Count Words"


def counted(text: str) -> str:
    """What the agent makes of a text: its words by how often they occur."""
    counts = Counter(text.lower().split())
    return "\n".join(f"{count} {word}" for word, count in sorted(counts.items(), key=lambda row: (-row[1], row[0])))


@dataclass
class Words(AgentExecutor):
    """Counts words. What a text begins with decides how it goes about it."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    """`slowly` waits for it."""
    began: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: list[str] = field(default_factory=list)
    seen: list[pb.Message] = field(default_factory=list)

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        """One message of a task."""
        message, task_id, context_id = context.message, context.task_id or "", context.context_id or ""
        assert message is not None
        self.seen.append(message)
        text = context.get_user_input("\n")
        how = text.partition(" ")[0]
        if how == "message":
            await event_queue.enqueue_event(_said(counted(text)))
            return
        updater = TaskUpdater(event_queue, task_id, context_id)
        if context.current_task is None:
            status = pb.TaskStatus(state=pb.TaskState.TASK_STATE_SUBMITTED)
            await event_queue.enqueue_event(
                pb.Task(id=task_id, context_id=context_id, status=status, history=[message])
            )
        await updater.start_work(_said("counting \x1b[31mwords"))
        self.began.set()
        match how:
            case "ask" if context.current_task is None:
                await updater.requires_input(_said("which words?"))
                return
            case "slowly":
                await self.go.wait()
            case "fail":
                await updater.failed(_said("the quota of acme@example.org is used up"))
                return
            case "credentials":
                await updater.requires_auth(_said("who are you?"))
                return
            case _:
                pass
        part = pb.Part(raw=b"\x89PNG", media_type="image/png") if how == "paint" else pb.Part(text=counted(text))
        await updater.add_artifact([part])
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Give a task up."""
        self.cancelled.append(context.task_id or "")
        await TaskUpdater(event_queue, context.task_id or "", context.context_id or "").cancel()


def _said(text: str) -> pb.Message:
    return pb.Message(message_id="m", role=pb.Role.ROLE_AGENT, parts=[pb.Part(text=text)])


@dataclass(frozen=True)
class SdkAgent:
    """A running agent."""

    url: str
    work: Words


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the tests' own signal handlers alone."""
        yield


@asynccontextmanager
async def sdk_agent(
    *, identity: Identity | None = None, binding: str = "JSONRPC", streaming: bool = True, skills: tuple[str, ...] = ()
) -> AsyncIterator[SdkAgent]:
    """A served agent; its card is signed by `identity`, where given."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    path = {"JSONRPC": "/rpc", "HTTP+JSON": ""}[binding]
    card = pb.AgentCard(
        name="words",
        description="Counts words.",
        version="1",
        supported_interfaces=[
            pb.AgentInterface(url=url + path, protocol_binding=binding, protocol_version="1.0"),
        ],
        capabilities=pb.AgentCapabilities(streaming=streaming),
        default_input_modes=["text/plain", "text/markdown"],
        default_output_modes=["text/plain"],
        skills=[pb.AgentSkill(id=one, name=one, description=one, tags=["words"]) for one in (SKILL, *skills)],
    )
    if identity is not None:
        head, signature = sign_parts(identity, canonical(MessageToDict(card)), typ="JOSE")
        card.signatures.append(pb.AgentCardSignature(protected=head, signature=signature))
    work = Words()
    handler = DefaultRequestHandler(work, InMemoryTaskStore(), card)
    calls = create_jsonrpc_routes(handler, "/rpc") if binding == "JSONRPC" else create_rest_routes(handler)
    app = Starlette(routes=[*create_agent_card_routes(card), *calls])
    server = _Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield SdkAgent(url, work)
    finally:
        work.go.set()
        server.should_exit = True
        await serving
