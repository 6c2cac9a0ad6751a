"""A task from the command line: the options of `ask` and `decide`, and the request that they make."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from coalesced.cli.errors import CliError
from coalesced.cli.params import DURATION, MONEY, SIZE
from coalesced.cli.verify import Verify, verify_of
from coalesced.control import shapes
from coalesced.control.inputs import chunked, read_files

F = TypeVar("F", bound=Callable[..., Any])

PLAN_SKILL = "plan"
"""What a task is called whose steps name their own skills."""

TASK_ARGUMENTS = (
    click.argument("skill", required=False, default=""),
    click.argument("text", required=False, default=""),
)
TASK_OPTIONS = (
    click.option("-f", "--file", "files", multiple=True, metavar="FILE", help="Input file, repeatable; - is stdin."),
    click.option("--budget", type=MONEY, help="Spend at most this, in dollars."),
    click.option("--value", type=MONEY, help="What a good result is worth, in dollars."),
    click.option("--deadline", type=DURATION, help="Give up after this: 30s, 2m, 1h."),
    click.option("--prefer", type=click.Choice(["auto", "local", "cheap", "fast"]), default="auto", show_default=True),
    click.option("--policy", default="", metavar="NAME", help="Decide by this rule, not the configured one."),
    click.option("--private", is_flag=True, help="Never leave this node: --privacy secret."),
    click.option("--privacy", type=click.Choice(["public", "internal", "confidential", "secret"])),
    click.option("--region", "regions", multiple=True, help="Only sellers in this region, repeatable."),
    click.option("--proof", "proofs", type=click.Choice(["certificate", "at-least", "attestation"]), multiple=True,
                 help="Only sellers who have shown this lately, repeatable."),
    click.option("--only-to", "only_to", multiple=True, metavar="DID", help="Only these sellers; * for anything."),
    click.option("--effort", type=click.Choice(["full", "cheap", "cheapest"])),
    click.option("--verify", "verify", type=Verify(), multiple=True, metavar="HOW",
                 help="Verify at least this much: none, cheap, full, redundant; or a check of what a model answers, "
                 "repeatable: schema:FILE, citations, recompute, redundant:2, redundant:3, judge."),
    click.option("--min-score", type=click.FloatRange(0, 1), help="Least score that verification accepts."),
)  # fmt: skip
"""What describes one piece of work."""

PLAN_OPTIONS = (
    click.option("--plan", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                 help="Instead of SKILL and TEXT: a DAG of subtasks, JSON or TOML; its files lie beside it."),
    click.option("--split", is_flag=True, help="One subtask per file, then merge."),
)  # fmt: skip
COURSE_OPTIONS = (
    click.option("--chunk", type=SIZE, help="Cut larger texts into pieces of this size (20K), one subtask each."),
    click.option("--key", "idempotency_key", default="", help="Asking again with the same key gives the same task."),
)  # fmt: skip
"""What only makes sense for work that is done: each step of a plan is decided by itself."""


def task_options(function: F) -> F:
    """Add everything that describes one piece of work."""
    return _with((*TASK_ARGUMENTS, *TASK_OPTIONS), function)


def course_options(function: F) -> F:
    """Add how it is to be done."""
    return _with((*PLAN_OPTIONS, *COURSE_OPTIONS), function)


def goal_options(function: F) -> F:
    """Add what describes a goal that is divided into a plan."""
    goal = (click.argument("skill", metavar="[GOAL]", required=False, default=""), TASK_ARGUMENTS[1])
    return _with((*goal, *TASK_OPTIONS, *COURSE_OPTIONS), function)


def _with(options: Sequence[Callable[[F], F]], function: F) -> F:
    for option in reversed(options):
        function = option(function)
    return function


def build_request(
    *,
    plan: Path | None = None,
    split: bool = False,
    chunk: int | None = None,
    idempotency_key: str = "",
    by: str = "",
    skills: Sequence[str] = (),
    **given: Any,
) -> shapes.AskRequest:
    """The request that the options describe; CliError when a file cannot be read or options contradict each other."""
    if given["private"] and given["privacy"] not in (None, "secret"):
        raise CliError(f"--private and --privacy {given['privacy']} contradict each other: leave one out")
    if plan is not None and (split or chunk is not None):
        word = "--split" if split else "--chunk"
        raise CliError(f"--plan and {word} contradict each other: leave one out")
    if plan is not None and given["skill"]:
        text = f"--plan and {given['skill'][:40]!r} contradict each other: the steps of {plan} name their own skills"
        raise CliError(f"{text} and texts; leave one out")
    if plan is None and not given["skill"]:
        raise CliError("say which skill: coalesced ask SKILL [TEXT]", hint="coalesced skills ls")
    files = read_files(given["files"])
    if chunk is not None:
        files = chunked(files, chunk)
        split |= len(files) > 1 and not by
    plan_text = ""
    if plan is not None:
        plan_text, named = read_plan(plan)
        files += _plan_files(plan, named, files)
    least_score = given["min_score"]
    least_level, checks, schema = verify_of(given["verify"])
    return {
        "skill": given["skill"] or PLAN_SKILL,
        "text": given["text"],
        "files": files,
        "budget_micro": given["budget"],
        "value_micro": given["value"],
        "deadline_s": given["deadline"],
        "prefer": given["prefer"],
        "policy": given["policy"],
        "privacy": "secret" if given["private"] else given["privacy"],
        "regions": list(given["regions"]),
        "proofs": list(given["proofs"]),
        "only_to": list(given["only_to"]),
        "effort": given["effort"],
        "least_level": least_level,
        "verify": checks,
        "result_schema": schema,
        "min_score_ppm": None if least_score is None else round(least_score * 1_000_000),
        "idempotency_key": idempotency_key,
        "plan": plan_text,
        "split": split,
        "by": by,
        "skills": list(skills),
    }


def read_plan(path: Path) -> tuple[str, list[str]]:
    """A plan file as JSON text (TOML is translated), and the names of the files that its steps read."""
    import msgspec

    try:
        data = path.read_bytes()
        plan = msgspec.toml.decode(data) if path.suffix == ".toml" else msgspec.json.decode(data)
    except OSError as error:
        raise CliError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CliError(f"{path} is not a plan: {error}") from error
    # Whatever else is wrong with the plan is for the daemon to say.
    steps = plan.get("step") if isinstance(plan, dict) else None
    listed = steps if isinstance(steps, list) else []
    named = [step["files"] for step in listed if isinstance(step, dict) and isinstance(step.get("files"), list)]
    names = dict.fromkeys(name for files in named for name in files if isinstance(name, str))
    return msgspec.json.encode(plan).decode(), list(names)


def _plan_files(path: Path, names: list[str], given: list[shapes.InputFile]) -> list[shapes.InputFile]:
    """The files that a plan names and that were not given with -f: they lie beside it."""
    there = {file["name"] for file in given}
    missing = [name for name in names if name not in there]
    for name in missing:
        if "\0" in name:
            raise CliError(f"{path} reads {name!r}, which no file can be called")
        # A plan from somebody else must not be able to send off whatever this user can read.
        if not (path.parent / name).resolve().is_relative_to(path.parent.resolve()):
            raise CliError(f"{path} reads {name}, which is not below its own folder: hand it over with -f")
    found = read_files(path.parent / name for name in missing)
    return [{**file, "name": name} for file, name in zip(found, missing, strict=True)]
