"""Where the control API listens: a Unix socket that only the owner can open, and loopback for probes."""

import contextlib
import os
import socket
from pathlib import Path

import structlog
from aiohttp import web

from coalesced.control.config import ControlConfig
from coalesced.control.facade import Node
from coalesced.control.lock import AlreadyRunningError
from coalesced.control.replies import errors_as_json, loopback_names_only
from coalesced.control.routes import Routes
from coalesced.paths import MAX_SOCKET_PATH_BYTES, make_private
from node.errors import NodeError

log = structlog.get_logger()

PROBE_TIMEOUT_S = 1.0
"""A live daemon accepts on its socket at once; only a stopped process would not, and its lock still tells."""


class ControlServer:
    """Serves one node to its owner. `start` and `stop` once each."""

    def __init__(self, node: Node, config: ControlConfig, socket_path: Path) -> None:
        self._routes = Routes(node, config)
        self._config = config
        self._socket_path = socket_path
        self._runners: list[web.AppRunner] = []
        self._inode: int | None = None
        self.admin_port: int | None = None
        """The loopback port in use, once started, where one was configured."""

    async def start(self) -> None:
        """Listen. AlreadyRunningError when a live daemon owns the socket; NodeError when a place cannot be had."""
        try:
            await self._open_socket()
            if self._config.admin_port is not None:
                await self._open_admin(self._config.admin_port)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close every listener and stream, and remove the socket file if it is still ours."""
        self._routes.end_streams()
        for runner in reversed(self._runners):
            await runner.cleanup()
        self._runners.clear()
        with contextlib.suppress(FileNotFoundError):
            if self._inode is not None and self._socket_path.stat().st_ino == self._inode:
                self._socket_path.unlink()
        self._inode = None

    async def _open_socket(self) -> None:
        path = self._socket_path
        make_private(path.parent)
        claim_socket_path(path)
        app = web.Application(middlewares=[errors_as_json], client_max_size=self._config.max_request_bytes)
        app.add_routes(self._routes.probes() + self._routes.calls())
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # The directory is 0700 already; the mode of the socket itself is the second door.
            listener.bind(os.fspath(path))
            path.chmod(0o600)
            self._inode = path.stat().st_ino
        except OSError as error:
            listener.close()
            raise NodeError(f"cannot create the control socket {path}: {error.strerror}") from error
        runner = await self._runner(app)
        await web.SockSite(runner, listener).start()
        log.info("control.listening", socket=str(path))

    async def _open_admin(self, port: int) -> None:
        app = web.Application(middlewares=[loopback_names_only, errors_as_json], client_max_size=2**16)
        app.add_routes(self._routes.probes())
        runner = await self._runner(app)
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            text = f"admin port 127.0.0.1:{port} is not free ({error.strerror}): set control.admin_port to another"
            raise NodeError(text) from error
        self.admin_port = runner.addresses[0][1]
        log.info("control.probes_listening", endpoint=f"127.0.0.1:{self.admin_port}")

    async def _runner(self, app: web.Application) -> web.AppRunner:
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=self._config.close_timeout_s
        )
        await runner.setup()
        self._runners.append(runner)
        return runner


def claim_socket_path(path: Path) -> None:
    """Make sure that a socket can be bound at `path`: remove a stale one, refuse a live one or another file."""
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise NodeError(f"the socket path {path} is longer than {MAX_SOCKET_PATH_BYTES} bytes: use a shorter --home")
    if not path.exists():
        return
    if not path.is_socket():
        raise NodeError(f"{path} exists and is not a socket: move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_TIMEOUT_S)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise AlreadyRunningError(f"something holds {path} and does not answer: {error}") from error
    raise AlreadyRunningError(f"already running, on {path}: stop it with `coalesced stop`, or give another --home")
