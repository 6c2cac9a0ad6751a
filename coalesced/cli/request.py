"""A task from the command line: the options that `ask` and `decide` share, and the request that they make."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from coalesced.cli.errors import CliError
from coalesced.cli.params import DURATION, MONEY
from coalesced.control import shapes
from coalesced.control.inputs import read_files

F = TypeVar("F", bound=Callable[..., Any])

TASK_OPTIONS = (
    click.argument("skill"),
    click.argument("text", required=False, default=""),
    click.option("-f", "--file", "files", multiple=True, metavar="FILE", help="Input file, repeatable; - is stdin."),
    click.option("--budget", type=MONEY, help="Spend at most this, in dollars."),
    click.option("--value", type=MONEY, help="What a good result is worth, in dollars."),
    click.option("--deadline", type=DURATION, help="Give up after this: 30s, 2m, 1h."),
    click.option("--prefer", type=click.Choice(["auto", "local", "cheap", "fast"]), default="auto", show_default=True),
    click.option("--private", is_flag=True, help="Never leave this node: --privacy secret."),
    click.option("--privacy", type=click.Choice(["public", "internal", "confidential", "secret"])),
    click.option("--region", "regions", multiple=True, help="Only sellers in this region, repeatable."),
    click.option("--effort", type=click.Choice(["full", "cheap", "cheapest"])),
    click.option("--verify", "least_level", type=click.Choice(["none", "cheap", "full", "redundant"]),
                 help="Verify at least this much."),
    click.option("--min-score", type=click.FloatRange(0, 1), help="Least score that verification accepts."),
    click.option("--plan", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                 help="A DAG of subtasks, JSON or TOML."),
    click.option("--split", is_flag=True, help="One subtask per file, then merge."),
    click.option("--key", "idempotency_key", default="", help="Asking again with the same key gives the same task."),
)  # fmt: skip


def task_options(function: F) -> F:
    """Add everything that describes a task."""
    for option in reversed(TASK_OPTIONS):
        function = option(function)
    return function


def build_request(**given: Any) -> shapes.AskRequest:
    """The request that the options describe; CliError when a file cannot be read or options contradict each other."""
    if given["private"] and given["privacy"] not in (None, "secret"):
        raise CliError(f"--private and --privacy {given['privacy']} contradict each other: leave one out")
    if given["plan"] is not None and given["split"]:
        raise CliError("--plan and --split contradict each other: leave one out")
    least_score = given["min_score"]
    return {
        "skill": given["skill"],
        "text": given["text"],
        "files": read_files(given["files"]),
        "budget_micro": given["budget"],
        "value_micro": given["value"],
        "deadline_s": given["deadline"],
        "prefer": given["prefer"],
        "privacy": "secret" if given["private"] else given["privacy"],
        "regions": list(given["regions"]),
        "effort": given["effort"],
        "least_level": given["least_level"],
        "min_score_ppm": None if least_score is None else round(least_score * 1_000_000),
        "idempotency_key": given["idempotency_key"],
        "plan": "" if given["plan"] is None else read_plan(given["plan"]),
        "split": given["split"],
    }


def read_plan(path: Path) -> str:
    """A plan file as JSON text; TOML is translated."""
    import msgspec

    try:
        data = path.read_bytes()
        plan = msgspec.toml.decode(data) if path.suffix == ".toml" else msgspec.json.decode(data)
    except OSError as error:
        raise CliError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise CliError(f"{path} is not a plan: {error}") from error
    return msgspec.json.encode(plan).decode()
