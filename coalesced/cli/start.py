"""`coalesced start`: the daemon, in the foreground."""

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.params import MONEY


@click.command()
@click.option("--bootstrap", multiple=True, metavar="HOST:PORT", help="Join through this node; repeatable.")
@click.option("--listen", multiple=True, metavar="HOST:PORT", help="Be reachable here (UDP and TCP); repeatable.")
@click.option("--advertise", metavar="HOST:PORT", help="The address that peers are told.")
@click.option("--network", help="Only nodes of the same network talk to each other.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port, where --listen does not name one.")
@click.option("--dev", is_flag=True, default=None, help="Keep nothing on disk.")
@click.option("--genesis", metavar="FILE", help="The community chain to follow, or to vote on as its member.")
@click.option("--no-sell", is_flag=True, help="Only buy.")
@click.option("--registry", is_flag=True, default=None, help="Also serve signed records over HTTP, as a registry.")
@click.option(
    "--use-registry", multiple=True, metavar="HOST:PORT", help="Ask here where the DHT knows nobody; repeatable."
)
@click.option(
    "--market-maker", is_flag=True, default=None, help="Also probe sellers with paid tasks, and sell what that shows."
)
@click.option("--probe-budget", type=MONEY, help="Spent on probes in 24 hours at most, in dollars.")
@click.option("--admin-port", type=click.IntRange(0, 65535), help="Serve probes and metrics on this loopback port.")
@click.option("--openai-port", type=click.IntRange(0, 65535), help="Serve the OpenAI API on this loopback port.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--log-format", type=click.Choice(["auto", "pretty", "json"]))
@command_options
def start(
    face: Face,
    /,
    bootstrap: tuple[str, ...],
    listen: tuple[str, ...],
    advertise: str | None,
    network: str | None,
    port: int | None,
    dev: bool | None,
    genesis: str | None,
    no_sell: bool,
    registry: bool | None,
    use_registry: tuple[str, ...],
    market_maker: bool | None,
    probe_budget: int | None,
    admin_port: int | None,
    openai_port: int | None,
    log_level: str | None,
    log_format: str | None,
) -> int:
    """Run a node here until it is stopped: by `coalesced stop`, ^C or SIGTERM (a second one forces it).

    Without --listen and without a --bootstrap on another machine, only this machine can reach it.
    """
    from coalesced.plain_structlog import load_structlog

    load_structlog()  # before what follows does, with rich
    from coalesced.config import ConfigError, Source, load
    from node.errors import NodeError

    flags: dict[str, object] = {
        "node.bootstrap": bootstrap or None,
        "node.listen": listen or None,
        "node.advertise": advertise,
        "node.network": network,
        "node.port": port,
        "node.in_memory": dev,
        "ledger.genesis": genesis,
        "contractor.sell": False if no_sell else None,
        "registry.serve": registry,
        "registry.use": use_registry or None,
        "market_maker.serve": market_maker,
        "market_maker.probe_budget_micro": probe_budget,
        "control.admin_port": admin_port,
        "openai.port": openai_port,
        "log.level": log_level,
        "log.format": log_format,
    }
    try:
        config = load(Source.here(face.home, flags))
    except ConfigError as error:
        raise CliError(str(error), code=error.code, hint="coalesced config check") from error
    from coalesced.app import run

    try:
        return run(config, as_json=face.as_json)
    except NodeError as error:
        if face.debug:
            raise
        raise CliError(str(error), code=error.code, exit_code=error.exit_code) from error
