"""`coalesced testnet`: several real nodes on this machine, started, looked at, disturbed, taken down."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

import click

from coalesced.cli.errors import INTERRUPTED, CliError
from coalesced.cli.face import Face, command_options

if TYPE_CHECKING:
    from coalesced.control.shapes import Status
    from coalesced.testnet.chaos import Disturbance
    from coalesced.testnet.runner import NodeState

P = ParamSpec("P")
T = TypeVar("T")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def testnet() -> None:
    """Several real nodes on this machine."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which testnet is meant, and how to name it in a command."""

    name: str
    directory: Path
    is_named_by_directory: bool

    def again(self, command: str) -> str:
        """The command line that does `command` to this testnet."""
        which = f" --dir {self.directory}" if self.is_named_by_directory else f" --name {self.name}"
        return f"coalesced testnet {command}" + ("" if which == " --name default" else which)


def place_options(function: Callable[Concatenate[Face, Place, P], T]) -> Callable[P, T]:
    """Give a command --name and --dir, the Face and the Place as first arguments; report errors as the CLI does."""

    @wraps(function)
    def placed(face: Face, /, *args: Any, name: str, directory: Path | None, **kwargs: Any) -> T:
        from coalesced.testnet.manifest import TestnetError, default_directory

        chosen = directory.absolute() if directory is not None else default_directory(name, environ=os.environ)
        try:
            return function(face, Place(name, chosen, directory is not None), *args, **kwargs)
        except TestnetError as error:
            raise CliError(str(error), code="failed", exit_code=1) from error
        except OSError as error:
            text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise CliError(text, code="failed", exit_code=1) from error

    command: Callable[P, T] = command_options(placed)  # type: ignore[arg-type]  # click adds name and directory
    command = click.option("--name", default="default", show_default=True, help="Which testnet, of several.")(command)
    path = click.Path(path_type=Path)
    return click.option("--dir", "directory", type=path, help="Its directory, instead of the usual.")(command)


@testnet.command()
@click.option("-n", "--nodes", type=click.IntRange(1, 64), default=5, show_default=True, help="How many nodes.")
@click.option(
    "--validators", type=click.IntRange(0, 64), default=0, help="How many of them vote on a common ledger: 4 stand one."
)
@place_options
def up(face: Face, place: Place, nodes: int, validators: int) -> None:
    """Start a testnet: sellers, the last node a buyer. Returns when all nodes see each other.

    Without --validators the first node keeps the ledger alone, and the others follow it.
    """
    if validators > nodes:
        raise CliError(f"{validators} validators need as many nodes, and there are {nodes}: give -n {validators}")
    from coalesced.cli.escape import escaped
    from coalesced.testnet import runner
    from coalesced.testnet.manifest import Manifest, roles_for

    def prepare(manifest: Manifest) -> None:
        if validators:
            from coalesced.cli.ledger_files import found_testnet

            homes = [manifest.home(node) for node in manifest.nodes]
            found_testnet(manifest.name, manifest.network, homes, validators, manifest.genesis)

    def report(text: str) -> None:
        face.note(escaped(text))

    try:
        manifest = asyncio.run(runner.up(place.name, place.directory, roles_for(nodes), report, prepare))
    except asyncio.CancelledError:
        face.note("interrupted; everything was taken down")
        click.get_current_context().exit(INTERRUPTED)
    _show(face, place)
    if not face.as_json:
        buyer = manifest.home(manifest.nodes[-1])
        face.note(f"\nask the buyer:  coalesced --home {buyer} ask sentiment 'a fine day'")
        face.note(f"end it:         {place.again('down')}")


@testnet.command()
@place_options
def status(face: Face, place: Place) -> None:
    """One line a node. Exit code 1 when one does not run."""
    if not all(state.process == "running" and state.status for state in _show(face, place)):
        click.get_current_context().exit(1)


@testnet.command()
@click.argument("node", required=False)
@click.option("-n", "--lines", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Lines a node.")
@place_options
def logs(face: Face, place: Place, node: str | None, lines: int) -> None:
    """The end of one node's log, or of all."""
    from coalesced.cli.escape import escaped
    from coalesced.testnet import runner
    from coalesced.testnet.manifest import load

    manifest = load(place.directory)
    for chosen in [manifest.node(node)] if node else manifest.nodes:
        for line in runner.log_tail(manifest.home(chosen), lines):
            face.say(escaped(line if node else f"{chosen.name}  {line}", keep="\t"))


@testnet.command()
@click.argument("disturbance", type=click.Choice(["kill", "pause", "resume", "restart"]))
@click.argument("node")
@place_options
def chaos(face: Face, place: Place, disturbance: str, node: str) -> None:
    """Kill (as a crash), pause, resume or restart NODE."""
    from coalesced.testnet.chaos import disturb
    from coalesced.testnet.manifest import load

    done = asyncio.run(disturb(load(place.directory), node, cast("Disturbance", disturbance)))
    face.show({"schema": "coalesced.ok/1", "text": done})


@testnet.command()
@click.option("--keep-files", is_flag=True, help="Leave homes and logs for a look; only end the processes.")
@place_options
def down(face: Face, place: Place, keep_files: bool) -> None:
    """End every process of the testnet and remove its directory. Works after any crash, too."""
    from coalesced.cli.units import counted
    from coalesced.testnet import runner

    ended = runner.down(place.directory, keep_files=keep_files)
    files = f"its files are in {place.directory}" if keep_files else f"{place.directory} is removed"
    face.show({"schema": "coalesced.ok/1", "text": f"{counted(ended, 'process', 'processes')} ended; {files}"})


def _show(face: Face, place: Place) -> "list[NodeState]":
    from coalesced.cli.tables import Column, draw_table
    from coalesced.testnet import runner
    from coalesced.testnet.manifest import load

    manifest = load(place.directory)
    states = asyncio.run(runner.states(manifest))
    rows = [_row(state, manifest.home(state.plan)) for state in states]
    if face.as_json:
        facts = {"name": manifest.name, "network": manifest.network, "directory": manifest.directory}
        face.print_json({"schema": "coalesced.testnet/1", **facts, "nodes": rows})
        return states
    columns = (
        Column("node", "name"),
        Column("role", "role"),
        Column("state", "state"),
        Column("pid", "pid"),
        Column("endpoint", "endpoint"),
        Column("id", "node"),
        Column("knows", "contacts", "count"),
        Column("sells", "skills_sold", "words"),
        Column("tasks", "tasks", "count"),
        Column("home", "home"),
        Column("ledger", "ledger"),
    )
    draw_table(columns, rows, face.out)
    return states


def _chain(status: "Status") -> str:
    ledger = status["ledger"]
    return f"{ledger['role']} at {ledger['height']}" if ledger and ledger["role"] else "-"


def _row(state: "NodeState", home: Path) -> dict[str, object]:
    status = state.status
    silent = state.process == "running" and status is None
    return {
        "name": state.plan.name,
        "role": state.plan.role,
        "state": "silent" if silent else state.process,
        "pid": state.pid,
        "endpoint": state.plan.endpoint,
        "node": status["node"] if status else "",
        "contacts": status["contacts"] if status else None,
        "skills_sold": status["skills_sold"] if status else [],
        "ledger": _chain(status) if status else None,
        "tasks": sum(status["tasks"].values()) if status else None,
        "home": str(home),
    }
