"""A task from the command line: the options that `ask` and `decide` share, and the request that they make."""

import mimetypes
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from coalesced.cli.errors import CliError
from coalesced.cli.params import DURATION, MONEY
from coalesced.control import shapes

F = TypeVar("F", bound=Callable[..., Any])

MAX_INPUT_BYTES = 2**30
"""What this process is willing to hold; the daemon's own limit (control.max_request_bytes) is far lower."""
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,80}")

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


def read_files(names: Sequence[str]) -> list[shapes.InputFile]:
    """The named files with their media types; "-" is stdin, once."""
    if names.count("-") > 1:
        raise CliError("stdin can be read only once: give -f - once")
    files: list[shapes.InputFile] = []
    total = 0
    for name in names:
        data = _read(name)
        total += len(data)
        if total > MAX_INPUT_BYTES:
            raise CliError(f"the input is larger than {MAX_INPUT_BYTES} bytes")
        shown = "stdin" if name == "-" else Path(name).name[:255]
        files.append({"name": shown, "media_type": media_type_of(shown, data), "data": data})
    return files


def _read(name: str) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        with Path(name).open("rb") as file:
            return file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise CliError(f"cannot read {name}: {error.strerror}") from error


def media_type_of(name: str, data: bytes) -> str:
    """The media type by file name, else text/plain for UTF-8 and application/octet-stream for the rest."""
    guessed, encoding = mimetypes.guess_type(name)
    if guessed is not None and encoding is None and _MEDIA_TYPE.fullmatch(guessed.lower()):
        return guessed.lower()
    try:
        data.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/plain"


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
