"""Starts, watches and ends a testnet. The only writer below its directory, apart from the nodes themselves."""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from coalesced.control.client import ControlClient
from coalesced.control.errors import ControlError
from coalesced.control.shapes import Status
from coalesced.paths import find_paths
from coalesced.testnet import processes
from coalesced.testnet.manifest import MANIFEST_FILE, Lie, Manifest, NodePlan, Role, TestnetError, load, plan, save
from coalesced.testnet.ports import free_ports
from coalesced.testnet.proxy import orders
from coalesced.testnet.proxy.weather import Order
from coalesced.testnet.settings import config_toml

READY_TIMEOUT_S = 60.0
"""A node starts in about a second; many at once on a busy two-core machine take longer."""
MEET_TIMEOUT_S = 60.0
POLL_S = 0.1
"""How often a starting node is asked; nothing is asserted about timing, so it only has to feel prompt."""
STATUS_TIMEOUT_S = 3.0
"""A paused node accepts a connection and never answers."""
STOP_GRACE_S = 5.0
MANY_CONTACTS = 20
"""One Kademlia bucket: more contacts than this are never required before a larger network counts as formed."""
PORT_ATTEMPTS = 3
LOG_TAIL_LINES = 12

Report = Callable[[str], None]
Describe = Callable[[tuple[int, ...], str], Manifest]
"""Makes a manifest of free ports and a random text for the network's name."""
Prepare = Callable[[Manifest], None]
"""Lays out what the nodes are to find when they start."""


class StartFailedError(TestnetError):
    """A node, or the proxy, ended before it was ready."""

    def __init__(self, home: Path) -> None:
        self.log = log_tail(home, LOG_TAIL_LINES)
        super().__init__(f"{home.name} ended before it was ready: {self.log[-1] if self.log else 'its log is empty'}")
        self.port_was_taken = any("in use" in line or "not free" in line for line in self.log)


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node as it is now. `status` is None when it does not run or does not answer."""

    plan: NodePlan
    process: processes.ProcessState
    pid: int | None
    status: Status | None


def socket_of(manifest: Manifest, node: NodePlan) -> Path:
    """Where the node's control API listens."""
    return find_paths(manifest.home(node), environ={}).socket


def log_tail(home: Path, lines: int) -> list[str]:
    """The last lines of a node's log."""
    try:
        return processes.log_file(home).read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []


async def up(
    name: str,
    directory: Path,
    roles: tuple[Role, ...],
    report: Report,
    prepare: Prepare | None = None,
    *,
    validators: int = 0,
    lies: tuple[Lie, ...] = (),
    with_proxy: bool = False,
) -> Manifest:
    """Start a testnet of the usual nodes in these roles; see `raise_up`, and `plan` for the rest."""
    count = len(roles)

    def describe(ports: tuple[int, ...], nonce: str) -> Manifest:
        fronts = ports[count:] if with_proxy else None
        return plan(
            name,
            directory,
            roles=roles,
            ports=ports[:count],
            nonce=nonce,
            fronts=fronts,
            validators=validators,
            lies=lies,
        )

    return await raise_up(directory, 2 * count if with_proxy else count, describe, report, prepare)


async def raise_up(
    directory: Path, count: int, describe: Describe, report: Report, prepare: Prepare | None = None
) -> Manifest:
    """Start the testnet that `describe` makes of `count` free ports; wait until its nodes know each other.

    What a crashed earlier run left there is removed first. On failure, or when cancelled, nothing is left.
    """
    end_like_interrupt()
    _clear_stale(directory, report)
    for attempt in range(1, PORT_ATTEMPTS + 1):
        manifest = describe(free_ports(count), secrets.token_hex(4))
        save(manifest)
        try:
            if prepare is not None:
                prepare(manifest)
            await _start_all(manifest, report)
        except StartFailedError as failure:
            down(directory)
            if not failure.port_was_taken or attempt == PORT_ATTEMPTS:
                for line in failure.log:
                    report(f"  {line}")
                raise
            report("a port was taken meanwhile; trying again with others")
        except BaseException:
            down(directory)
            raise
        else:
            return manifest
    raise AssertionError("the last attempt returns or raises")


def end_like_interrupt() -> None:
    """Let SIGTERM and SIGHUP cancel the current task, as ^C does, so that what it started is taken down."""
    task = asyncio.current_task()
    if task is not None and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _clear_stale(directory: Path, report: Report) -> None:
    if not (directory / MANIFEST_FILE).exists():
        if directory.exists() and any(directory.iterdir()):
            raise TestnetError(f"{directory} is not empty and holds no testnet: choose another directory")
        return
    if processes.members(homes_below(directory)):
        command = f"coalesced testnet down --dir {directory}"
        raise TestnetError(f"a testnet runs in {directory}: take it down with `{command}`")
    report("removing what an earlier testnet left")
    down(directory)


async def _start_all(manifest: Manifest, report: Report) -> None:
    """Start the first node, then the others, which join through it; return when they see each other."""
    first, *others = manifest.nodes
    if manifest.has_proxy:
        await start_proxy(manifest)
        report("the proxy stands between the nodes")
    started = {first.name: start_node(manifest, first)}
    report(f"{first.name} starts on {first.endpoint}")
    await wait_ready(manifest, first, started[first.name])
    for node in others:
        started[node.name] = start_node(manifest, node)
    if others:
        report(f"{others[0].name} to {others[-1].name} start, told of {first.endpoint}")
    for node in others:
        await wait_ready(manifest, node, started[node.name])
    report("all are ready; waiting until they see each other")
    await wait_met(manifest)


def start_node(manifest: Manifest, node: NodePlan) -> subprocess.Popen[bytes]:
    """Start one node's process. TestnetError when it runs already."""
    home = manifest.home(node)
    if processes.find(home) is not None:
        raise TestnetError(f"{node.name} runs already")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    toml = config_toml(node, pays_in_credits=manifest.genesis.exists())
    (home / "config.toml").write_text(toml, encoding="utf-8")
    return processes.spawn(home, start_command(manifest, node), environment=clean_environment(os.environ))


def start_command(manifest: Manifest, node: NodePlan) -> list[str]:
    """The command line of a node's process."""
    program = ["coalesced"] if node.conduct == "honest" else ["coalesced.testnet.dishonest", node.conduct]
    if node.lie is not None:
        program = ["coalesced.testnet.byzantine", node.lie]
    command = [sys.executable, "-m", *program, "start", "--home", str(manifest.home(node))]
    command += ["--listen", node.listen, "--network", manifest.network]
    if node.front_port is not None:
        command += ["--advertise", node.endpoint]
    if manifest.genesis.exists():
        command += ["--genesis", str(manifest.genesis)]
    for other in manifest.nodes[:2]:
        # Two addresses, so that a node can join again while the first node is dead.
        if other != node:
            command += ["--bootstrap", other.endpoint]
    return command if node.role != "buyer" else [*command, "--no-sell"]


def clean_environment(environment: "os._Environ[str] | dict[str, str]") -> dict[str, str]:
    """The caller's environment without its own node's settings, which are not meant for a testnet's nodes."""
    return {name: value for name, value in environment.items() if not name.startswith("COALESCED_")}


async def start_proxy(manifest: Manifest) -> None:
    """Start the process that stands in for every node; return when it obeys."""
    home = orders.home_of(manifest)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [sys.executable, "-m", "coalesced.testnet.proxy", "start", "--home", str(home)]
    child = processes.spawn(home, command, environment=clean_environment(os.environ))
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while not find_paths(home, environ={}).socket.exists():
                if child.poll() is not None:
                    raise StartFailedError(home)
                await asyncio.sleep(POLL_S)
            await orders.ask(manifest, Order())
    except TimeoutError:
        raise TestnetError(f"the proxy was not ready within {READY_TIMEOUT_S:.0f} s") from None


async def wait_ready(manifest: Manifest, node: NodePlan, child: subprocess.Popen[bytes]) -> Status:
    """Wait until the node answers its control API; StartFailedError when it ends, TestnetError when it never does."""
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while True:
                if child.poll() is not None:
                    raise StartFailedError(manifest.home(node))
                status = await ask_status(manifest, node)
                if status is not None:
                    return status
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise TestnetError(f"{node.name} was not ready within {READY_TIMEOUT_S:.0f} s") from None


async def wait_met(manifest: Manifest) -> None:
    """Wait until every node knows every other, or a bucketful of them, and the sellers sell."""
    wanted = min(len(manifest.nodes) - 1, MANY_CONTACTS)
    missing: list[str] = []
    try:
        async with asyncio.timeout(MEET_TIMEOUT_S):
            while True:
                missing = [text for state in await states(manifest) if (text := _what_is_missing(state, wanted))]
                if not missing:
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        text = f"the nodes did not find each other within {MEET_TIMEOUT_S:.0f} s: {'; '.join(missing)}"
        raise TestnetError(text) from None


def _what_is_missing(state: NodeState, wanted: int) -> str:
    name, status = state.plan.name, state.status
    if status is None:
        return f"{name} does not answer"
    if status["contacts"] < wanted:
        return f"{name} knows {status['contacts']} of {wanted}"
    if state.plan.role != "buyer" and not status["skills_sold"]:
        return f"{name} has nothing on sale yet"
    return ""


async def ask_status(manifest: Manifest, node: NodePlan) -> Status | None:
    """The node's status; None when it does not answer in time."""
    try:
        async with asyncio.timeout(STATUS_TIMEOUT_S), ControlClient(socket_of(manifest, node)) as client:
            return await client.status()
    except (ControlError, TimeoutError):
        return None


async def states(manifest: Manifest) -> list[NodeState]:
    """Every node as it is now; all are asked at once."""

    async def state(node: NodePlan) -> NodeState:
        home = manifest.home(node)
        process = processes.find(home)
        running = processes.state(home)
        status = await ask_status(manifest, node) if running == "running" else None
        return NodeState(node, running, process.pid if process else None, status)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(state(node)) for node in manifest.nodes]
    return [task.result() for task in tasks]


async def restart(manifest: Manifest, node: NodePlan) -> Status:
    """Stop the node if it runs, start it again on its old directory and port, wait until it is ready."""
    home = manifest.home(node)
    await asyncio.to_thread(processes.stop_all, [home], grace_s=STOP_GRACE_S)
    return await wait_ready(manifest, node, start_node(manifest, node))


def homes_below(directory: Path) -> list[Path]:
    """Every node home that a testnet in `directory` has or had, the manifest's and those with a record or log."""
    try:
        manifest = load(directory)
        named = [manifest.home(node) for node in manifest.nodes]
    except TestnetError:
        named = []
    left = [
        path.with_name(path.name.removesuffix(suffix))
        for suffix in (".process.json", ".log")
        for path in directory.glob(f"*{suffix}")
    ]
    return list(dict.fromkeys([*named, *left]))


def down(directory: Path, *, keep_files: bool = False, grace_s: float = STOP_GRACE_S) -> int:
    """End every process of the testnet in `directory`, then remove the directory. The count of processes ended.

    Works on whatever a crash left: without a manifest, with a damaged one, with records of processes long gone.
    TestnetError when `directory` holds no testnet.
    """
    if not (directory / MANIFEST_FILE).exists():
        raise TestnetError(f"no testnet in {directory}: nothing to take down")
    homes = homes_below(directory)
    ended = processes.stop_all(homes, grace_s=grace_s)
    _remove_sockets(homes)
    if not keep_files:
        # The manifest goes last: until then, `down` can be repeated.
        for path in directory.iterdir():
            if path.name != MANIFEST_FILE:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (directory / MANIFEST_FILE).unlink()
        directory.rmdir()
    return ended


def _remove_sockets(homes: Iterable[Path]) -> None:
    """A killed node leaves its socket; that of a long path lies outside its home."""
    for home in homes:
        find_paths(home, environ={}).socket.unlink(missing_ok=True)
