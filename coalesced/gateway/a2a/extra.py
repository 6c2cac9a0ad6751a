"""The way to what needs the extra `a2a`: nothing of it is imported before somebody asks for it."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from importlib import import_module
from typing import Any

from aiohttp import web

from coalesced.control.facade import Node
from coalesced.gateway.a2a.config import A2aConfig
from crypto.identity import Identity
from node.background import background
from node.daemon import Daemon
from node.env import Env
from node.errors import NodeError
from node.execute.executor import Executor
from node.outsource.client.agents import NO_AGENTS, Agents
from node.outsource.contractor.elsewhere import AgentResale


class ExtraMissingError(NodeError):
    """An optional part is wanted and not installed."""

    code = "extra_missing"


def load_extra(module: str) -> Any:
    """Import `coalesced.gateway.a2a.<module>`; ExtraMissingError names the extra that it needs."""
    # The SDK traces every call of its own unless it is told not to, before it is imported.
    os.environ.setdefault("OTEL_INSTRUMENTATION_A2A_SDK_ENABLED", "false")
    try:
        return import_module(f"coalesced.gateway.a2a.{module}")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("coalesced"):
            raise
        raise ExtraMissingError(
            f"A2A needs a package that is not installed ({error.name}): pip install 'coalesced[a2a]'"
        ) from error


@asynccontextmanager
async def serving(
    config: A2aConfig, daemon: Daemon, owner: Node, app: web.Application, **otherwise: Any
) -> AsyncIterator[None]:
    """Serve A2A on a node's public port: enter before the port opens, leave when the node has stopped.

    `otherwise`: what a test serves in another way (see A2aServer).
    """
    base_url = f"http://{daemon.addresses.advertised}"
    server = load_extra("serve").A2aServer(config, daemon.parts, owner, base_url=base_url, **otherwise)
    server.attach(app)
    await server.open()
    try:
        yield
    finally:
        await server.close()


@asynccontextmanager
async def buying(
    config: A2aConfig, identity: Identity, env: Env, executor: Executor, network: str
) -> AsyncIterator[Agents]:
    """The A2A agents that a node may buy from; none, and nothing imported, where none is configured."""
    if not config.sellers and not config.find:
        yield NO_AGENTS
        return

    def output_type(label: str) -> str:
        return next((skill.output_media_type for skill in executor.skills if skill.label == label), "")

    made = load_extra("buying.agents").A2aAgents(config, identity, env, network=network, output_type=output_type)
    async with made as agents:
        yield agents


@asynccontextmanager
async def announcing(config: A2aConfig, daemon: Daemon) -> AsyncIterator[None]:
    """Agents that others are told of: enter when the node has started, leave before it stops."""
    async with AsyncExitStack() as stack:
        for one in config.announced:
            await stack.enter_async_context(background(load_extra("announcing").announce(one, daemon.parts)))
        yield


def reselling(identity: Identity, env: Env) -> Callable[[], AgentResale]:
    """What makes skills of A2A agents; imported when the first is sold."""
    return cache(lambda: load_extra("buying.resale").Resale(identity, env.unix_ms))
