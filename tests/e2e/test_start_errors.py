"""Starting a node where it cannot work: one clear line, the right exit code, no traceback."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.processes import Daemon, Daemons, daemons, run_cli, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def network() -> Iterator[Daemons]:
    with daemons() as made:
        yield made


def start_and_fail(daemon: Daemon, *flags: str) -> str:
    """What a start that must fail says on stderr."""
    finished = run_cli(
        "start", "--home", str(daemon.home), "--listen", daemon.endpoint, "--network", daemon.network, *flags,
        timeout_s=60,
    )  # fmt: skip
    assert finished.returncode not in (0, None)
    return finished.stderr


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_busy_port_is_named(network: Daemons, kind: socket.SocketKind) -> None:
    daemon = network.make("node")
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", daemon.port))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        said = start_and_fail(daemon)
    assert str(daemon.port) in said
    assert "in use" in said or "not free" in said


def test_an_address_of_another_machine_is_refused_with_those_of_this_one(network: Daemons) -> None:
    daemon = network.make("node")
    ran = run_cli("start", "--home", str(daemon.home), "--listen", f"198.51.100.7:{daemon.port}", timeout_s=60)
    assert ran.returncode == 1
    for words in ("198.51.100.7 is no address of this machine", "127.0.0.1", "--advertise"):
        assert words in ran.stderr
    assert "stop the other program" not in ran.stderr


def test_a_key_that_is_no_key_is_named(network: Daemons) -> None:
    daemon = network.make("node")
    daemon.home.mkdir(mode=0o700)
    key = daemon.home / "identity.key"
    key.write_text("not a key")
    key.chmod(0o600)
    assert str(key) in start_and_fail(daemon)


def test_a_key_that_others_can_read_is_refused(network: Daemons) -> None:
    daemon = network.make("node")
    assert run_cli("init", "--home", str(daemon.home)).returncode == 0
    (daemon.home / "identity.key").chmod(0o644)
    said = start_and_fail(daemon)
    assert "identity.key" in said
    assert "chmod 600" in said


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[node]\nport = 99999\n", ["config.toml:2", "99999", "65535"]),
        ("[machine]\n\nhourly_rate = 3\n", ["config.toml:3", "machine.hourly_rate", "hourly_rate_usd"]),
        ("[decision]\npolicy = 'dice'\n", ["config.toml:2", "dice", "expected-cost"]),
        ("[node\n", ["config.toml", "line 1"]),
    ],
)
def test_a_bad_configuration_is_an_error_with_line_value_and_what_is_allowed(
    network: Daemons, toml: str, words: list[str]
) -> None:
    daemon = network.make("node")
    daemon.configure(toml)
    said = start_and_fail(daemon)
    for word in words:
        assert word in said


def test_an_unreachable_bootstrap_address_is_told_and_does_not_stop_the_node(network: Daemons) -> None:
    daemon, nobody = network.make("node"), network.make("nobody")
    daemon.start("--bootstrap", nobody.endpoint)
    wait_until(lambda: daemon.status()["problems"], 90, "the problem on the status screen")
    status = daemon.status()
    assert nobody.endpoint in str(status["problems"]) + status["bootstrap"]
    assert daemon.cli("ask", "sentiment", "fine").returncode == 0


def test_a_second_daemon_in_the_same_home_is_refused_with_the_first_ones_number(network: Daemons) -> None:
    first = network.make("node")
    first.start()
    second = Daemon(first.home, network.make("other").port, network.network)
    assert first.process is not None
    said = start_and_fail(second)
    assert "already running" in said
    assert str(first.process.pid) in said


def test_a_socket_left_by_a_killed_daemon_does_not_stand_in_the_way(network: Daemons) -> None:
    daemon = network.make("node").start()
    daemon.kill()
    assert daemon.cli("status").returncode == 3
    daemon.start()
    assert daemon.stop() == 0


def test_nodes_of_different_networks_do_not_meet(network: Daemons, tmp_path: Path) -> None:
    one = network.make("one").start()
    other = Daemon(network.directory / "other", network.make("x").port, network.network + "x")
    network.made.append(other)
    other.start("--bootstrap", one.endpoint)
    wait_until(lambda: other.status()["problems"], 90, "the stranger is told")
    assert other.status()["contacts"] == one.status()["contacts"] == 0
