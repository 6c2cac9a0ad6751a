"""A testnet's description, its ports, and the processes it starts and must end. Whole testnets are in tests/e2e."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from coalesced import config
from coalesced.paths import find_paths
from coalesced.testnet import processes
from coalesced.testnet.manifest import (
    MANIFEST_FILE,
    MAX_NODES,
    ROLES,
    Manifest,
    TestnetError,
    decode,
    encode,
    load,
    plan,
    roles_for,
    save,
)
from coalesced.testnet.ports import FIRST_PORT, LAST_PORT, free_ports
from coalesced.testnet.runner import clean_environment, down, start_command
from coalesced.testnet.settings import config_toml

OBEDIENT = "import signal; print('ready', flush=True); signal.pause()"
STUBBORN = """
    import signal
    signal.signal(signal.SIGTERM, lambda *_: None)
    print('ready', flush=True)
    while True:
        signal.pause()
"""
WITH_A_WORKER = """
    import os, signal
    if os.fork() == 0:
        print('ready', flush=True)
    signal.pause()
"""


def make(directory: Path, count: int = 3) -> Manifest:
    return plan(
        "small", directory, roles=roles_for(count), ports=tuple(range(30_000, 30_000 + count)), nonce="0badcafe"
    )


def node_command(home: Path, program: str) -> list[str]:
    """A process with the command line of a node, that runs `program`."""
    return [sys.executable, "-c", textwrap.dedent(program), "start", "--home", str(home)]


def wait_for_output(home: Path) -> None:
    """Return when the process of `home` has written something."""
    deadline = time.monotonic() + 60
    while processes.log_file(home).stat().st_size == 0:
        assert time.monotonic() < deadline
        time.sleep(0.005)


Start = Callable[[Path, str], subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts stand-ins for nodes, and reaps them at the end however the test went."""
    children: list[subprocess.Popen[bytes]] = []

    def start_one(home: Path, program: str) -> subprocess.Popen[bytes]:
        child = processes.spawn(home, node_command(home, program), environment=dict(os.environ))
        children.append(child)
        wait_for_output(home)
        return child

    yield start_one
    for child in children:
        child.kill()
        child.wait()


# --- the manifest -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, MAX_NODES])
def test_every_market_has_someone_to_buy_and_someone_to_sell(count: int) -> None:
    roles = roles_for(count)
    assert len(roles) == count
    assert {"seller", "both"} & set(roles)
    assert {"buyer", "both"} & set(roles)


@pytest.mark.parametrize("count", [0, -1, MAX_NODES + 1])
def test_an_impossible_number_of_nodes_is_refused_with_the_limit(count: int) -> None:
    with pytest.raises(TestnetError, match=rf"1 to {MAX_NODES} nodes, not {count}"):
        roles_for(count)


def test_a_saved_manifest_is_loaded_as_it_was(tmp_path: Path) -> None:
    manifest = make(tmp_path)
    save(manifest)
    assert load(tmp_path) == manifest


def test_a_buyer_values_its_machine_higher_than_any_seller_asks(tmp_path: Path) -> None:
    rates = {node.role: node.rate_micro_per_hour for node in make(tmp_path, 5).nodes}
    assert rates["buyer"] > 10 * rates["seller"]


def test_a_bad_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TestnetError, match="name"):
        plan("Not A Name", tmp_path, roles=("both",), ports=(30_000,), nonce="00")


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"schema":"coalesced.testnet-manifest/2"}', b"\xff\xfe"])
def test_a_damaged_manifest_is_an_error_that_names_the_place(damage: bytes) -> None:
    with pytest.raises(TestnetError, match="somewhere"):
        decode(damage, where="somewhere")


def test_an_unknown_field_in_a_manifest_is_refused(tmp_path: Path) -> None:
    data = encode(make(tmp_path)).replace(b'"name"', b'"extra": 1,\n"name"', 1)
    with pytest.raises(TestnetError, match="extra"):
        decode(data, where="somewhere")


def test_asking_for_a_testnet_where_there_is_none_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(TestnetError, match="coalesced testnet up"):
        load(tmp_path)


def test_a_moved_manifest_is_refused(tmp_path: Path) -> None:
    manifest = make(tmp_path / "here")
    save(manifest)
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(TestnetError, match="cannot be moved"):
        load(tmp_path / "there")


def test_an_unknown_node_is_refused_with_the_names_that_exist(tmp_path: Path) -> None:
    with pytest.raises(TestnetError, match="n1, n2, n3"):
        make(tmp_path).node("n9")


def test_nodes_join_through_others_and_never_through_themselves(tmp_path: Path) -> None:
    manifest = make(tmp_path)
    for node in manifest.nodes:
        command = start_command(manifest, node)
        told = [command[at + 1] for at, word in enumerate(command) if word == "--bootstrap"]
        assert told
        assert node.endpoint not in told


def test_only_buyers_do_not_sell(tmp_path: Path) -> None:
    manifest = make(tmp_path, 5)
    quiet = {node.role for node in manifest.nodes if "--no-sell" in start_command(manifest, node)}
    assert quiet == {"buyer"}


def test_the_callers_own_node_settings_do_not_reach_a_testnet() -> None:
    assert clean_environment({"COALESCED_HOME": "/x", "PATH": "/bin"}) == {"PATH": "/bin"}


def test_the_configuration_of_every_role_is_one_that_a_node_accepts(tmp_path: Path) -> None:
    manifest = make(tmp_path, 5)
    assert {node.role for node in manifest.nodes} == set(ROLES)
    for node in manifest.nodes:
        (tmp_path / "config.toml").write_text(config_toml(node))
        loaded = config.load(config.Source(find_paths(tmp_path, environ={})))
        assert loaded.machine.hourly_rate_usd == node.rate_micro_per_hour / 1e6


# --- ports --------------------------------------------------------------------------------------------------


def test_free_ports_are_different_and_outside_the_systems_own_range() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(FIRST_PORT <= port < LAST_PORT for port in ports)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_is_taken_for_either_protocol_is_not_free(
    kind: socket.SocketKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setattr("coalesced.testnet.ports.FIRST_PORT", port)
    monkeypatch.setattr("coalesced.testnet.ports.LAST_PORT", port + 1)
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", port))
        with pytest.raises(TestnetError, match="0 of 1 free ports"):
            free_ports(1)
    assert free_ports(1) == (port,)


# --- processes ----------------------------------------------------------------------------------------------


def test_a_started_process_is_found_again_and_ended(tmp_path: Path, start: Start) -> None:
    home = tmp_path / "n1"
    child = start(home, OBEDIENT)
    found = processes.find(home)
    assert found is not None
    assert found.pid == child.pid
    assert processes.stop_all([home], grace_s=20) == 1
    assert processes.find(home) is None
    assert not processes.record_file(home).exists()


def test_a_process_that_ignores_the_first_signal_is_killed(tmp_path: Path, start: Start) -> None:
    home = tmp_path / "n1"
    child = start(home, STUBBORN)
    processes.stop_all([home], grace_s=0.2)
    assert child.wait(timeout=60) in (-signal.SIGKILL, 0)
    assert processes.members([home]) == []


def test_a_paused_process_is_ended_too(tmp_path: Path, start: Start) -> None:
    home = tmp_path / "n1"
    start(home, OBEDIENT)
    processes.pause(home)
    assert processes.state(home) == "paused"
    processes.resume(home)
    assert processes.state(home) == "running"
    processes.pause(home)
    assert processes.stop_all([home], grace_s=20) == 1


def test_the_workers_of_a_killed_node_are_found_and_ended(tmp_path: Path, start: Start) -> None:
    home = tmp_path / "n1"
    child = start(home, WITH_A_WORKER)
    (worker,) = psutil.Process(child.pid).children()
    child.kill()
    child.wait()
    assert [process.pid for process in processes.members([home])] == [worker.pid]
    assert processes.stop_all([home], grace_s=0.2) == 1
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_kill_takes_the_workers_along(tmp_path: Path, start: Start) -> None:
    home = tmp_path / "n1"
    start(home, WITH_A_WORKER)
    assert len(processes.members([home])) == 2
    processes.kill(home)
    assert processes.members([home]) == []


def test_a_process_without_a_record_is_still_found_by_its_command_line(tmp_path: Path, start: Start) -> None:
    home = tmp_path / "n1"
    child = start(home, OBEDIENT)
    processes.record_file(home).unlink()
    assert [process.pid for process in processes.members([home])] == [child.pid]


def test_a_record_whose_number_now_belongs_to_another_process_is_not_believed(tmp_path: Path) -> None:
    home = tmp_path / "n1"
    mine = psutil.Process()
    processes.record_file(home).write_text(f'{{"pid": {mine.pid}, "started_unix_s": {mine.create_time()}}}')
    assert processes.find(home) is None
    assert mine.pid not in [process.pid for process in processes.members([home])]


@pytest.mark.parametrize("text", ["", "{", '{"pid": "x"}', '{"pid": 999999999, "started_unix_s": 1}'])
def test_a_damaged_or_stale_record_means_stopped(tmp_path: Path, text: str) -> None:
    home = tmp_path / "n1"
    processes.record_file(home).write_text(text)
    assert processes.state(home) == "stopped"


def test_disturbing_a_node_that_does_not_run_says_how_to_start_it(tmp_path: Path) -> None:
    for disturb in (processes.kill, processes.pause, processes.resume):
        with pytest.raises(TestnetError, match="chaos restart n1"):
            disturb(tmp_path / "n1")


# --- down ---------------------------------------------------------------------------------------------------


def test_down_ends_everything_and_removes_the_directory(tmp_path: Path, start: Start) -> None:
    manifest = make(tmp_path / "net")
    save(manifest)
    homes = [manifest.home(node) for node in manifest.nodes]
    start(homes[0], OBEDIENT)
    start(homes[1], WITH_A_WORKER)
    (homes[2]).mkdir()
    assert down(tmp_path / "net", grace_s=20) == 3
    assert processes.members(homes) == []
    assert not (tmp_path / "net").exists()


def test_down_works_with_a_manifest_that_a_crash_cut_short(tmp_path: Path, start: Start) -> None:
    manifest = make(tmp_path / "net")
    save(manifest)
    home = manifest.home(manifest.nodes[0])
    start(home, OBEDIENT)
    (tmp_path / "net" / MANIFEST_FILE).write_bytes(b'{"schema":')
    assert down(tmp_path / "net", grace_s=20) == 1
    assert processes.members([home]) == []
    assert not (tmp_path / "net").exists()


def test_down_never_touches_a_directory_that_holds_no_testnet(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep me")
    with pytest.raises(TestnetError, match="nothing to take down"):
        down(tmp_path)
    assert (tmp_path / "precious").exists()


def test_down_can_keep_the_files(tmp_path: Path, start: Start) -> None:
    manifest = make(tmp_path / "net")
    save(manifest)
    start(manifest.home(manifest.nodes[0]), OBEDIENT)
    down(tmp_path / "net", keep_files=True, grace_s=20)
    assert processes.log_file(manifest.home(manifest.nodes[0])).read_text() == "ready\n"
