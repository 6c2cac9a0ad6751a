"""The command line as a process of its own: what it imports, ^C, closed pipes, a terminal, hostile directories."""

import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coalesced.control.lock import hold_lock
from coalesced.paths import find_paths
from tests.harness.served_node import ServedNode, serve

COALESCED = [sys.executable, "-m", "coalesced"]
HEAVY = {"aiohttp", "asyncio", "numpy", "rich", "msgspec", "cryptography", "structlog", "node", "platformdirs"}

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedNode]:
    with serve(tmp_path / "home") as node:
        yield node


def start(served: ServedNode, *arguments: str) -> subprocess.Popen[bytes]:
    command = [*COALESCED, "--home", str(served.home), *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["-h"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from coalesced.cli.main import run; code = run(sys.argv[1:]); print(*sys.modules); sys.exit(code)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = {name.split(".")[0] for name in ran.stdout.splitlines()[-1].split()}
    assert loaded & HEAVY == set()


@pytest.mark.parametrize(
    "module", ["coalesced.sdk", "coalesced.control.client", "coalesced.cli.render", "coalesced.cli.ask"]
)
def test_clients_import_none_of_the_inner_packages(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert {"node", "dht", "protocol", "crypto"} & {name.split(".")[0] for name in ran.stdout.split()} == set()


def test_a_daemon_that_was_asked_nothing_has_not_loaded_what_its_memory_is_spared(tmp_path: Path) -> None:
    code = "import sys; from coalesced.cli.main import run; run(sys.argv[1:]); print(*sys.modules)"
    with hold_lock(find_paths(tmp_path, environ={}).lock_file):  # with all loaded, it ends at the lock
        ran = subprocess.run(
            [sys.executable, "-c", code, "--home", str(tmp_path), "start"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert "already running" in ran.stderr
    assert {"coalesced.app", "node.decision.inputs", "structlog"} <= set(ran.stdout.split())
    assert {"numpy", "rich", "pygments", "prometheus_client"} & set(ran.stdout.split()) == set()


def test_an_interrupted_ask_cancels_its_task(served: ServedNode) -> None:
    process = start(served, "ask", "slow", "x", "--stream", "--json")
    assert process.stdout is not None
    assert any(b'"progress"' in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"cancelling" in err
    assert b"Traceback" not in err
    assert served.on_loop(lambda node: [task.state for task in node.by_id.values()]) == ["cancelled"]


def test_a_second_interrupt_leaves_at_once(served: ServedNode) -> None:
    def hold(node: object) -> None:
        served.node.holds_cancel = True

    served.on_loop(hold)
    process = start(served, "ask", "slow", "x", "--stream", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    assert any(b'"progress"' in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    assert b"cancelling" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, b"Traceback" in err) == (130, False)


def test_a_reader_that_leaves_ends_the_command_quietly(served: ServedNode) -> None:
    process = start(served, "config", "show")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 1


@needs_full
@pytest.mark.parametrize("command", ["--help", "status", "--json status", "ask upper x", "console --exec status"])
def test_a_full_disk_behind_the_output_is_named(served: ServedNode, command: str) -> None:
    with FULL.open("wb") as full:
        words = [*COALESCED, "--home", str(served.home), *command.split()]
        ran = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[0] == "error: cannot write the output: No space left on device"
    assert "Traceback" not in ran.stderr


@needs_full
def test_a_full_disk_behind_the_errors_leaves_the_exit_code(served: ServedNode) -> None:
    with FULL.open("wb") as full:
        words = [*COALESCED, "--home", str(served.home), "task", "show", "none"]
        assert subprocess.run(words, stdout=full, stderr=full, timeout=60, check=False).returncode == 2


def test_a_console_script_whose_reader_leaves_ends_quietly(served: ServedNode) -> None:
    process = start(served, "console", *("--exec", "status") * 3)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_bug(served: ServedNode, closed: str) -> None:
    line = f"{shlex.join([*COALESCED, '--home', str(served.home), 'ask', 'upper', 'x'])} {closed}"
    ran = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, "bug" in ran.stdout + ran.stderr) == (0, False)


def test_stdin_is_an_input_file(served: ServedNode) -> None:
    command = [*COALESCED, "--home", str(served.home), "ask", "upper", "-f", "-"]
    ran = subprocess.run(command, input=b"from a pipe", capture_output=True, timeout=60, check=True)
    assert ran.stdout == b"FROM A PIPE"


def test_a_crypto_module_in_the_working_directory_does_no_harm(tmp_path: Path) -> None:
    for name in ("crypto", "node", "dht", "protocol"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    command = [*COALESCED, "--home", str(tmp_path / "home"), "init"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "did:key:z6Mk" in ran.stdout


def read_terminal(controller: int, until: bytes, seen: bytes = b"") -> bytes:
    """What the process behind a terminal wrote, up to and including `until`."""
    deadline_s = time.monotonic() + 60
    while until not in seen:
        ready, _, _ = select.select([controller], [], [], max(0.0, deadline_s - time.monotonic()))
        assert ready, f"{until!r} did not come; seen: {seen!r}"
        try:
            seen += os.read(controller, 65536)
        except OSError:
            break
    assert until in seen, seen
    return seen


def test_on_a_terminal_progress_is_live_and_a_question_is_asked(served: ServedNode) -> None:
    controller, terminal = pty.openpty()
    command = [*COALESCED, "--home", str(served.home), "ask", "quiz", "a document"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    try:
        seen = read_terminal(controller, b"your answer: ")
        assert b"OUTSOURCE to k7m2qfab" in seen
        assert b"Which year?" in seen
        os.write(controller, b"1999\n")
        seen = read_terminal(controller, b"why: coalesced --home ", seen)
        assert b"A DOCUMENT" in seen
        assert process.wait(60) == 0
    finally:
        process.kill()
        os.close(controller)


def test_an_interrupt_while_a_question_is_open_cancels_the_task(served: ServedNode) -> None:
    controller, terminal = pty.openpty()
    command = [*COALESCED, "--home", str(served.home), "ask", "quiz", "x"]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    try:
        read_terminal(controller, b"your answer: ")
        process.send_signal(signal.SIGINT)
        read_terminal(controller, b"cancelling")
        assert process.wait(60) == 130
    finally:
        process.kill()
        os.close(controller)
