"""The servers that scripts/bench/gateway.py compares, one a process: the SDK's own on starlette, and ours on aiohttp.

Both have the SDK's store in memory and the same executor behind them. Prints its port.
"""

import asyncio
import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
if sys.argv[1] != "starlette":  # as it comes, the SDK traces its calls wherever opentelemetry is installed
    os.environ["OTEL_INSTRUMENTATION_A2A_SDK_ENABLED"] = "false"

from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import a2a_pb2 as pb

from coalesced.gateway.a2a.cards import RPC_PATH
from coalesced.gateway.a2a.handler import NOT_YET


class Completes(AgentExecutor):
    """Does what any agent does, and no work."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id is not None
        assert context.context_id is not None
        assert context.message is not None
        status = pb.TaskStatus(state=pb.TaskState.TASK_STATE_SUBMITTED)
        task = pb.Task(id=context.task_id, context_id=context.context_id, status=status, history=[context.message])
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        await updater.start_work()
        await updater.add_artifact([pb.Part(text="done")])
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Nothing runs long enough."""


def listening() -> socket.socket:
    """A socket on any free port, which is printed."""
    made = socket.create_server(("127.0.0.1", 0))
    print(made.getsockname()[1], flush=True)
    return made


def serve_starlette() -> None:
    """The SDK's own server."""
    import uvicorn
    from starlette.applications import Starlette

    handler = DefaultRequestHandler(Completes(), InMemoryTaskStore(), NOT_YET)
    app = Starlette(routes=create_jsonrpc_routes(handler, RPC_PATH))
    config = uvicorn.Config(app, log_level="error", access_log=False)
    asyncio.run(uvicorn.Server(config).serve([listening()]))


async def serve_aiohttp() -> None:
    """Ours: the door with its callers and rates, the binding, streams."""
    from aiohttp import web

    from coalesced.gateway.a2a.callers import Callers
    from coalesced.gateway.a2a.door import Door
    from coalesced.gateway.a2a.handler import Handler
    from coalesced.gateway.a2a.rpc import RpcBinding
    from coalesced.gateway.a2a.streams import EventStreams
    from coalesced.gateway.quotas import RequestRates
    from node.env import Env

    handler = Handler(
        Completes(), InMemoryTaskStore(), push_store=None, push_sender=None, allow_private=False, any_media_type=True
    )
    door = Door(
        Callers({}, anonymous=True),
        RequestRates(10**6),
        base_url="http://127.0.0.1",
        max_request_bytes=2**22,
        supported=frozenset(),
        unix_ms=Env().unix_ms,
    )
    app = web.Application()
    app.router.add_routes(RpcBinding(handler, door.enter, EventStreams(15.0), frozenset(), None).routes(RPC_PATH))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listening()).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1].startswith("starlette"):
        serve_starlette()
    else:
        asyncio.run(serve_aiohttp())
