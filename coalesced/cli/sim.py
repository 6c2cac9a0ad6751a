"""`coalesced sim`: the market simulator, in which policies are compared. It needs no running node."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options

if TYPE_CHECKING:
    from coalesced.sim.market.metrics import Summary
    from coalesced.sim.market.statistics import Estimate

P = ParamSpec("P")
T = TypeVar("T")
MOST_SEEDS = 100_000


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def sim() -> None:
    """The market simulator: policies compared in the paper's market."""


def run_options(function: Callable[Concatenate[Face, P], T]) -> Callable[P, T]:
    """Give a command the options of a simulation, and report what is wrong with them as the command line does."""

    @wraps(function)
    def checked(face: Face, /, *args: Any, **kwargs: Any) -> T:
        from coalesced.sim.market.jobs import ClusterError
        from coalesced.sim.market.report import PlotError
        from node.errors import UsageError

        try:
            return function(face, *args, **kwargs)
        except (ValueError, UsageError) as error:
            raise CliError(str(error)) from error
        except (ClusterError, PlotError) as error:
            raise CliError(str(error), code="failed", exit_code=1) from error

    command: Callable[P, T] = command_options(checked)
    for option in (
        click.option(
            "--policy", "policies", default="expected-cost,oracle", show_default=True, help="A,B,C; see `sim list`."
        ),
        click.option(
            "--seeds", type=click.IntRange(1, MOST_SEEDS), default=20, show_default=True, help="Runs of each."
        ),
        click.option("--seed", type=click.IntRange(0, 2**63), default=1, show_default=True, help="The first seed."),
        click.option("--workers", type=click.IntRange(1, 1024), help="Processes; one a core when left out."),
        click.option("--cluster", help="Address of a dask scheduler to run on."),
        click.option("--plots", type=click.Path(path_type=Path), help="Directory for one PNG a scenario."),
        click.option("--set", "changes", multiple=True, help="A field of the scenario, as local_scale=0.1."),
    ):
        command = option(command)
    return command


@sim.command(name="list")
@command_options
def list_(face: Face, /) -> None:
    """The scenarios and policies that there are."""
    from coalesced.sim.market.rules import NAMES
    from coalesced.sim.market.scenario import SCENARIOS

    if face.as_json:
        face.print_json({"schema": "coalesced.simulations/1", "scenarios": list(SCENARIOS), "policies": list(NAMES)})
        return
    face.say(f"scenarios: {', '.join(SCENARIOS)}")
    face.say(f"policies:  {', '.join(NAMES)}; +guarded behind a name adds a security budget")


@sim.command()
@click.argument("scenario")
@run_options
def run(face: Face, /, scenario: str, **given: Any) -> None:
    """Simulate SCENARIO under each policy: cost reduction, regret, and what was hired, with 95 % intervals."""
    _simulate(face, [scenario], **given)


@sim.command()
@click.argument("scenarios", nargs=-1, required=True)
@run_options
def compare(face: Face, /, scenarios: tuple[str, ...], **given: Any) -> None:
    """Simulate each of SCENARIOS under each policy, in one go."""
    _simulate(face, list(scenarios), **given)


def _simulate(
    face: Face,
    names: list[str],
    *,
    policies: str,
    seeds: int,
    seed: int,
    workers: int | None,
    cluster: str | None,
    plots: Path | None,
    changes: tuple[str, ...],
) -> None:
    from coalesced.sim.market.jobs import run_grouped, split
    from coalesced.sim.market.report import as_json, draw, estimates
    from coalesced.sim.market.rules import rule
    from coalesced.sim.market.scenario import changed, scenario

    rules = list(dict.fromkeys(name.strip() for name in policies.split(",") if name.strip()))
    for name in rules:
        rule(name)
    if not rules:
        raise ValueError("--policy is empty: write one or more names, as expected-cost,oracle")
    worlds = {name: changed(scenario(name), changes) for name in dict.fromkeys(names)}
    pairs = [(name, by) for name in worlds for by in rules]
    groups = [split(worlds[name], by, seed, seeds) for name, by in pairs]

    def progress(done: int, total: int) -> None:
        if face.err.isatty():
            print(f"\r{done} of {total}", end="" if done < total else "\n", file=face.err, flush=True)

    found = dict(zip(pairs, run_grouped(groups, workers=workers, cluster=cluster, progress=progress), strict=True))
    by_scenario = {name: {by: found[name, by] for by in rules} for name in worlds}
    tables = {name: estimates(summaries) for name, summaries in by_scenario.items()}
    if face.as_json:
        runs = [
            as_json(table, scenario=name, seeds=seeds, seed=seed, set=list(changes)) for name, table in tables.items()
        ]
        face.print_json(runs[0] if len(runs) == 1 else {"schema": "coalesced.simulations/1", "runs": runs})
    else:
        for name, table in tables.items():
            _print(face, name, by_scenario[name], table)
    if plots is not None:
        for path in draw(by_scenario, plots):
            face.note(f"wrote {path}")


def _print(face: Face, name: str, summaries: "dict[str, Summary]", found: "dict[str, dict[str, Estimate]]") -> None:
    from coalesced.cli.tables import Column, draw_table

    if face.out.isatty():
        tasks = next(iter(summaries.values())).tasks
        face.say(f"\n{name}: {len(tasks)} runs of {tasks.mean():.0f} tasks; percent, with 95 % intervals")
    titles = {
        "cost_reduction": "saved",
        "first_100": "first 100",
        "regret": "regret",
        "hired": "hired",
        "explored": "explored",
        "missed": "missed",
        "to_dishonest": "to dishonest",
    }
    columns = (
        Column("policy", "policy"),
        *(Column(title, field, optional=True) for field, title in titles.items()),
    )
    rows = [
        {
            "scenario": name,
            "policy": by,
            **{field: figures[field].text() if field in figures else None for field in titles},
        }
        for by, figures in found.items()
    ]
    if not face.out.isatty():
        columns = (Column("scenario", "scenario"), *columns)
    draw_table(columns, rows, face.out)
