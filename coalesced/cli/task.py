"""`coalesced task`: tasks of this node, past and present."""

import sys
from pathlib import Path

import click

from coalesced.cli.answer import print_answer
from coalesced.cli.ask import finish
from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.livegraph import LiveGraph
from coalesced.cli.plangraph import show_graph
from coalesced.cli.progress import Progress
from coalesced.control.client import ControlClient

STATES = ("submitted", "working", "input-required", "completed", "failed", "cancelled", "rejected")


@click.group()
def task() -> None:
    """List, watch, cancel and answer tasks."""


@task.command("ls")
@click.option("--state", type=click.Choice(STATES))
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@command_options
def list_tasks(face: Face, /, state: str | None, limit: int) -> None:
    """The latest tasks first."""
    face.show(face.run(lambda client: client.tasks(limit=limit, state=state)))


@task.command()
@click.argument("task_id", metavar="TASK")
@command_options
def show(face: Face, /, task_id: str) -> None:
    """One task as it stands."""
    face.show(face.run(lambda client: client.task(task_id)))


@task.command()
@click.argument("task_id", metavar="TASK")
@command_options
def watch(face: Face, /, task_id: str) -> int:
    """A task's events, then its answer.

    From its beginning to its end. A plan's graph is drawn as it runs: what runs where, at which cost; then as it ended.
    With --json an event a line, then the graph, then the answer. ^C stops watching, not the task.
    """

    async def call(client: ControlClient) -> int:
        with Progress(face.err, always=True) as progress, LiveGraph(face.err, client, lines=True) as graph:
            async for event in client.watch(task_id):
                if face.as_json:
                    face.print_json_line(event)
                elif graph.takes(event):
                    await graph.show(event)
                else:
                    graph.stop()
                    progress.show(event)
        await show_graph(face, client, task_id)
        return await finish(face, client, task_id, None)

    return face.run(call)


@task.command()
@click.argument("task_id", metavar="TASK")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it to a file.")
@command_options
def result(face: Face, /, task_id: str, output: Path | None) -> None:
    """The answer of a completed task."""

    async def call(client: ControlClient) -> None:
        data, media_type = await client.result(task_id)
        print_answer(face, await client.task(task_id), data, media_type, output)

    face.run(call)


@task.command()
@click.argument("task_id", metavar="TASK")
@command_options
def cancel(face: Face, /, task_id: str) -> None:
    """Give a task up."""
    face.show(face.run(lambda client: client.cancel(task_id)))


@task.command()
@click.argument("task_id", metavar="TASK")
@click.argument("text", required=False)
@command_options
def answer(face: Face, /, task_id: str, text: str | None) -> None:
    """Answer a task's question; without TEXT, read it from stdin."""
    reply = text if text is not None else sys.stdin.read()
    if not reply:
        raise CliError("the answer is empty: write it after the task, or pipe it in")
    face.show(face.run(lambda client: client.answer(task_id, reply)))


@task.command()
@click.argument("task_id", metavar="TASK")
@command_options
def receipt(face: Face, /, task_id: str) -> None:
    """What both sides signed."""
    face.show(face.run(lambda client: client.receipt(task_id)))
