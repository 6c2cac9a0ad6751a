"""The daemon as a process: lock, key, files, signals, the ready line; it builds a node and lives until told to end."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack

import msgspec
import structlog

from coalesced import __version__
from coalesced.compose.ground import Ground
from coalesced.compose.node import Built, build
from coalesced.config import Config
from coalesced.control.lock import hold_lock
from coalesced.control.server import ControlServer
from coalesced.gateway.a2a.extra import announcing, buying, serving
from coalesced.gateway.checks import outside_checks
from coalesced.gateway.openai.server import OpenAiServer
from coalesced.gateway.registry.serving import serving_registry
from coalesced.logs import configure
from coalesced.passphrase import read_passphrase
from coalesced.paths import PathError, make_private
from coalesced.reload import Reloader
from coalesced.sdnotify import notify
from crypto.identity import Identity, did_key, short_id
from node.collector import spare_collector
from node.community.shell import MakeShell, Shell
from node.daemon import Daemon
from node.env import Env
from node.errors import NodeError
from node.execute.config import ExecuteConfig
from node.execute.executor import Executor
from node.execute.processes import ProcessExecutor
from node.net.addresses import resolve
from node.net.endpoint import parse_endpoint
from node.net.websocket import WebSocketTransport
from node.outsource.client.agents import Agents
from node.owner.doctor import Doctor
from node.owner.network import Network
from node.owner.owner import Owner
from node.owner.status import StatusDesk
from node.store import keyfile
from node.store.store import Store

log = structlog.get_logger()


MakeExecutor = Callable[[ExecuteConfig, Env], Executor]


def run(
    config: Config,
    *,
    as_json: bool = False,
    make_executor: MakeExecutor = ProcessExecutor,
    make_shell: MakeShell = Shell,
) -> int:
    """Run a daemon until it is stopped; the exit code. NodeError when it cannot start, with the reason.

    Once it is ready it says so on stdout, in one line: a sentence, or a JSON object. Only a testnet's dishonest nodes
    give makers of their own: no setting and no option does.
    """
    configure(config.log)
    with ExitStack() as stack:
        try:
            make_private(config.paths.home)
            stack.enter_context(hold_lock(config.paths.lock_file))
        except (PathError, OSError) as error:
            raise NodeError(f"cannot use {config.paths.home}: {error}") from error
        env = Env()
        identity = _identity(config, env)
        try:
            return asyncio.run(_live(config, env, identity, make_executor, make_shell, as_json=as_json))
        except BaseExceptionGroup as group:
            _raise_first(group)
            raise


def _identity(config: Config, env: Env) -> Identity:
    """The key file's identity, created on first use; in memory a new one."""
    if config.node.in_memory:
        return Identity(env.entropy(32))
    path = config.paths.key_file
    passphrase = None
    if path.exists() and keyfile.is_sealed(path):
        passphrase = read_passphrase(config.node.passphrase_file)
    return keyfile.load_or_create(path, env.entropy, passphrase)


async def _live(
    config: Config, env: Env, identity: Identity, make_executor: MakeExecutor, make_shell: MakeShell, *, as_json: bool
) -> int:
    """One daemon's whole life, inside one task group."""
    bootstrap = tuple(parse_endpoint(text) for text in config.node.bootstrap)
    directory = None if config.node.in_memory else config.paths.home
    addresses = resolve(
        listen=tuple(parse_endpoint(text) for text in config.node.listen),
        port=config.node.port,
        port_is_fixed="node.port" in config.origins,
        advertise=parse_endpoint(config.node.advertise) if config.node.advertise else None,
        bootstrap=bootstrap,
    )
    async with AsyncExitStack() as stack:
        store = await Store.open(directory, identity, caps=config.caps, retention=config.retention)
        stack.push_async_callback(store.close)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        transport = WebSocketTransport(config.net.max_message_bytes)
        executor = make_executor(config.execute, env)
        agents = buying(config.a2a, identity, env, executor, config.node.network)
        ground = Ground(
            identity=identity,
            env=env,
            store=store,
            addresses=addresses,
            bootstrap=bootstrap,
            transport=transport,
            executor=executor,
            agents=await stack.enter_async_context(agents),
            group=group,
            make_shell=make_shell,
        )
        built = build(config, ground)
        daemon = built.daemon
        reloader = Reloader(config, daemon.parts)
        desk = StatusDesk(daemon, version=__version__, home=str(config.paths.home), roles=config.roles)
        owner = _owner(config, built, ground.agents, reloader, desk)
        if config.a2a.enabled:
            await stack.enter_async_context(serving(config.a2a, daemon, owner, transport.app))
        await stack.enter_async_context(serving_registry(config.registry, daemon, transport.app))
        await daemon.start()
        await stack.enter_async_context(announcing(config.a2a, daemon))
        control = ControlServer(owner, config.control, config.paths.socket)
        await control.start()
        openai = OpenAiServer(owner, config.openai, config.paths.openai_token)
        await openai.start()
        desk.openai_url = openai.url
        _listen_to_signals(daemon, reloader)
        spare_collector()
        _announce(ready_line(config, daemon, openai.url, as_json=as_json))
        await daemon.until_stopped()
        notify("STOPPING=1")
        await openai.stop()
        await daemon.stop()
        # After the node, so that its owner could watch running work end.
        await control.stop()
    return 0


def _owner(config: Config, built: Built, agents: Agents, reloader: Reloader, status: StatusDesk) -> Owner:
    daemon, parts = built.daemon, built.daemon.parts
    home = None if config.node.in_memory else config.paths.home
    return Owner(
        daemon,
        status=status,
        network=Network(parts, built.listings, config.decision),
        doctor=Doctor(daemon, home, outside_checks(config, parts, agents)),
        reload=reloader.reload,
    )


def _listen_to_signals(daemon: Daemon, reloader: Reloader) -> None:
    """The first SIGTERM or SIGINT drains, the second forces; SIGHUP reads the configuration again."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: daemon.ask_to_stop(drain=True))
    loop.add_signal_handler(signal.SIGHUP, lambda: daemon.parts.in_background(reloader.reload_on_signal()))


def _announce(line: str) -> None:
    """Print the ready line, which somebody may be waiting for, and tell systemd."""
    try:
        print(line, flush=True)
    except OSError as error:
        raise NodeError(f"cannot write the ready line to standard output: {error.strerror}") from error
    notify("READY=1")


def ready_line(config: Config, daemon: Daemon, openai_url: str, *, as_json: bool) -> str:
    """That the node is ready and where, for a person or for whatever started this process."""
    node = short_id(daemon.parts.identity.public_key)
    where, control = daemon.addresses, config.paths.socket
    listening = [str(one) for one in where.listen]
    if not as_json:
        line = (
            f"ready: node {node} of network {config.node.network}, listening on {', '.join(listening)} "
            f"({where.explanation}); peers see {where.advertised}; control {control}"
        )
        return f"{line}; OpenAI-compatible at {openai_url}" if openai_url else line
    facts = {
        "schema": "coalesced.ready/1",
        "node": node,
        "did": did_key(daemon.parts.identity.public_key),
        "network": config.node.network,
        "pid": os.getpid(),
        "home": str(config.paths.home),
        "listening": listening,
        "reach": where.explanation,
        "advertised": str(where.advertised),
        "control": str(control),
        "openai": openai_url,
    }
    return msgspec.json.encode(facts).decode()


def _raise_first(group: BaseExceptionGroup[BaseException]) -> None:
    """Raise the first NodeError in the group, if there is one: that is what a person can act on."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            _raise_first(error)
        elif isinstance(error, NodeError):
            raise error
