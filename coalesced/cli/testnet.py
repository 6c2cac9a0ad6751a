"""`coalesced testnet`: several real nodes on this machine, started, looked at, disturbed, taken down."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coalesced.cli.chaos import chaos
from coalesced.cli.errors import INTERRUPTED, CliError
from coalesced.cli.face import Face
from coalesced.cli.place import Place, place_options

if TYPE_CHECKING:
    from coalesced.control.shapes import Status
    from coalesced.testnet.runner import NodeState


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def testnet() -> None:
    """Several real nodes on this machine."""


testnet.add_command(chaos)


@testnet.command()
@click.option("-n", "--nodes", type=click.IntRange(1, 64), default=5, show_default=True, help="How many nodes.")
@click.option(
    "--validators", type=click.IntRange(0, 64), default=0, help="How many of them vote on a common ledger: 4 stand one."
)
@click.option(
    "--byzantine",
    default="0",
    metavar="COUNT[:KIND]",
    help="How many validators lie, and how: equivocator, silent, slow, liar, replayer, twin, vote-withholder; each in "
    "turn where no kind is given.",
)
@click.option("--allow-unsafe", is_flag=True, help="Let more of them lie than the others can bear.")
@click.option("--proxy/--no-proxy", default=True, help="Whether `chaos` may disturb the network between the nodes.")
@place_options
def up(
    face: Face, place: Place, nodes: int, validators: int, byzantine: str, *, allow_unsafe: bool, proxy: bool
) -> None:
    """Start a testnet: sellers, the last node a buyer. Returns when all nodes see each other.

    Without --validators the first node keeps the ledger alone, and the others follow it.
    """
    if validators > nodes:
        raise CliError(f"{validators} validators need as many nodes, and there are {nodes}: give -n {validators}")
    from coalesced.cli.escape import escaped
    from coalesced.testnet import runner
    from coalesced.testnet.lying import chosen_lies
    from coalesced.testnet.manifest import Manifest, TestnetError, roles_for

    try:
        lies = chosen_lies(byzantine, validators, allow_unsafe=allow_unsafe)
    except TestnetError as error:
        raise CliError(str(error)) from error

    def prepare(manifest: Manifest) -> None:
        if validators:
            from coalesced.cli.ledger_files import found_testnet

            homes = [manifest.home(node) for node in manifest.nodes]
            found_testnet(manifest.name, manifest.network, homes, validators, manifest.genesis)

    def report(text: str) -> None:
        face.note(escaped(text))

    try:
        manifest = asyncio.run(
            runner.up(
                place.name,
                place.directory,
                roles_for(nodes),
                report,
                prepare,
                validators=validators,
                lies=lies,
                with_proxy=proxy,
            )
        )
    except asyncio.CancelledError:
        face.note("interrupted; everything was taken down")
        click.get_current_context().exit(INTERRUPTED)
    _show(face, place)
    if not face.as_json:
        buyer = manifest.home(manifest.nodes[-1])
        face.note(f"\nask the buyer:  coalesced --home {buyer} ask sentiment 'a fine day'")
        face.note(f"end it:         {place.again('down')}")
        if lies:
            told = ", ".join(f"{node.name} lies ({node.lie})" for node in manifest.nodes if node.lie)
            face.note(f"on the chain:   {told}; look with coalesced --home HOME ledger members")


@testnet.command()
@place_options
def status(face: Face, place: Place) -> None:
    """One line a node, and what is wrong between them. Exit code 1 when one does not run, or the proxy."""
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


@testnet.command("assert")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--node", help="Of which node, where a line does not say; otherwise of all that do not lie.")
@place_options
def assert_(face: Face, place: Place, file: Path, node: str | None) -> None:
    """Check the expectations in FILE, one a line.

    FILE may be - for stdin. It stops at the first that does not hold, and names it.

    \b
    expect peers >= 7 within 10s
    expect ledger.height >= 5 on all within 20s
    expect ledger.agree
    """
    from coalesced.repl.script import file_lines, run_script
    from coalesced.testnet.asserting import Expecter
    from coalesced.testnet.manifest import load

    manifest = load(place.directory)
    lines = file_lines(file)
    expecter = Expecter(manifest, face.out, face.err, default_node=manifest.node(node).name if node else "")
    try:
        code = asyncio.run(run_script(expecter, lines))
    except KeyboardInterrupt:
        code = INTERRUPTED
    click.get_current_context().exit(code)


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
    from coalesced.testnet.proxy import orders
    from coalesced.testnet.proxy.weather import Forecast, Order

    manifest = load(place.directory)
    states = asyncio.run(runner.states(manifest))
    rows = [_row(state, manifest.home(state.plan)) for state in states]
    forecast = asyncio.run(orders.ask(manifest, Order())) if manifest.has_proxy else Forecast()
    links = {f"{one}-{other}": str(link) for (one, other), link in forecast.links}
    if face.as_json:
        facts = {"name": manifest.name, "network": manifest.network, "directory": manifest.directory, "links": links}
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
        Column("lies", "lie"),
    )
    draw_table(columns, rows, face.out)
    if links:
        face.note("between them: " + "; ".join(f"{pair} {link}" for pair, link in links.items()))
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
        "lie": state.plan.lie,
        "tasks": sum(status["tasks"].values()) if status else None,
        "home": str(home),
    }
