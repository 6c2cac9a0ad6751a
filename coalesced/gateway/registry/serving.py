"""The registry's place in a daemon's life."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from coalesced.gateway.registry.server import RegistryServer
from node.daemon import Daemon
from node.registry.config import RegistryConfig


@asynccontextmanager
async def serving_registry(config: RegistryConfig, daemon: Daemon, app: web.Application) -> AsyncIterator[None]:
    """Serve a registry on a node's public port, where it is one: enter before the port opens, leave after the node."""
    if not config.serve:
        yield
        return
    server = RegistryServer(config, daemon.parts, daemon.addresses.advertised)
    server.attach(app)
    try:
        yield
    finally:
        await server.close()
