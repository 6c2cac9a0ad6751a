"""`coalesced plan`: a goal divided into steps, by a model, by rule or as a file says; and the record of it."""

from pathlib import Path
from typing import Any

import click

from coalesced.cli.ask import finish, follow
from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.plangraph import graph_lines, made_lines, show_graph
from coalesced.cli.request import build_request, goal_options
from coalesced.control.client import ControlClient

PLANNERS = ("auto", "model", "rule")


@click.group()
def plan() -> None:
    """Divide a goal into steps, have them done, and see who planned it and how."""


@plan.command()
@goal_options
@click.option(
    "--by",
    default="auto",
    show_default=True,
    metavar="auto|model|rule|FILE",
    help="Who divides GOAL: the model if the node has one, else the rule; or a plan file, without GOAL.",
)
@click.option(
    "--skill",
    "skills",
    multiple=True,
    metavar="LABEL",
    help="A skill of others that may be used beside this node's own, repeatable; the first is the rule's.",
)
@click.option("--stream", is_flag=True, help="Print every event: to stderr, or to stdout with --json.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the answer to a file.")
@command_options
def run(face: Face, /, *, by: str, stream: bool, output: Path | None, **given: Any) -> int:
    """Have GOAL done in steps: a sentence, or the label of one skill for all FILEs; TEXT is handed over with them.

    The answer goes to stdout, the graph of what ran where to stderr. ^C cancels.
    """
    if by in PLANNERS:
        if not given["skill"]:
            raise CliError('say what is to be done: coalesced plan run "GOAL" -f FILE')
        request = build_request(by=by, **given)
    elif Path(by).is_file():
        if given["skills"]:
            raise CliError("--skill and a plan file contradict each other: its steps name their own skills")
        request = build_request(plan=Path(by), **given)
    else:
        raise CliError(f"--by {by!r} is neither auto, model nor rule, nor a plan file that exists")

    async def call(client: ControlClient) -> int:
        task_id = await follow(face, client, client.ask(request), stream=stream)
        if not face.as_json:
            await show_graph(face, client, task_id)
        return await finish(face, client, task_id, output)

    return face.run(call)


@plan.command()
@click.argument("task_id", metavar="TASK")
@command_options
def show(face: Face, /, task_id: str) -> None:
    """Who planned TASK, how and at which cost, and how its graph stands. With --json its steps can be run again."""
    why = face.run(lambda client: client.why(task_id))
    if why["plan"] is None:
        raise CliError(f"task {task_id} is no plan, or its plan is not kept any more", hint=face.again("task ls"))
    if face.as_json:
        face.print_json({**why["plan"], "graph": why["steps"]})
        return
    for line in (*made_lines(why["plan"]), *graph_lines(why["steps"])):
        face.say(line)
