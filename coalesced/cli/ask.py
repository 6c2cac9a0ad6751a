"""`coalesced ask`: a task, its progress, its answer, and one line about what it cost."""

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import click

from coalesced.cli import explain
from coalesced.cli.answer import print_answer
from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.livegraph import LiveGraph
from coalesced.cli.progress import Progress
from coalesced.cli.request import build_request, course_options, task_options
from coalesced.cli.units import short_task
from coalesced.control import shapes
from coalesced.control.client import ControlClient

CANCEL_TIMEOUT_S = 5.0


@click.command()
@task_options
@course_options
@click.option("--dry-run", is_flag=True, help="Only decide and say why.")
@click.option("--stream", is_flag=True, help="Print every event: to stderr, or to stdout with --json.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the answer to a file.")
@command_options
def ask(face: Face, /, *, dry_run: bool, stream: bool, output: Path | None, **given: Any) -> int:
    """Have SKILL done on TEXT and FILEs, here or by another node. The answer goes to stdout.

    ^C cancels the task; a second ^C leaves at once.
    """
    request = build_request(**given)
    if dry_run:
        face.show(face.run(lambda client: client.decide(request)))
        return 0

    async def call(client: ControlClient) -> int:
        task_id = await follow(face, client, client.ask(request), stream=stream)
        return await finish(face, client, task_id, output)

    return face.run(call)


async def follow(face: Face, client: ControlClient, events: Any, *, stream: bool) -> str:
    """Show a task's events until they end; the task's id. Being cancelled cancels the task as well."""
    task_id = ""
    try:
        with (
            Progress(face.err, always=stream and not face.as_json) as progress,
            LiveGraph(face.err, client, lines=stream and not face.as_json) as graph,
        ):
            async with aclosing(events):
                async for event in events:
                    task_id = event["task_id"] or task_id
                    if stream and face.as_json:
                        face.print_json(event)
                    if graph.takes(event):
                        progress.pause()
                        await graph.show(event)
                        continue
                    graph.stop()
                    progress.show(event)
                    if event["name"] == "input_required":
                        progress.pause()
                        await answer_question(face, client, event)
    except asyncio.CancelledError:
        if task_id:
            face.note(f"cancelling {short_task(task_id)}; ^C again leaves at once")
            async with asyncio.timeout(CANCEL_TIMEOUT_S):
                await client.cancel(task_id)
        raise
    return task_id


async def answer_question(face: Face, client: ControlClient, event: shapes.Event) -> None:
    """Ask the person at the terminal; elsewhere, say how to answer."""
    if not (sys.stdin.isatty() and face.err.isatty()):
        command = face.again(f"task answer {short_task(event['task_id'])} TEXT")
        face.note(f"the task waits for an answer: {command}")
        return
    face.err.write("your answer: ")
    face.err.flush()
    await client.answer(event["task_id"], (await read_line()).rstrip("\n"))


async def read_line() -> str:
    """One line from the terminal, in a way that ^C can interrupt (a thread in input() could not be)."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(sys.stdin, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()


async def finish(face: Face, client: ControlClient, task_id: str, output: Path | None) -> int:
    """Print an ended task's answer, or why there is none; the exit code."""
    # Asked for anew: only the daemon's own view has the final cost, which the ending event only leads to.
    task = await client.task(task_id)
    short = short_task(task["id"])
    if task["state"] not in ("completed", "failed", "cancelled", "rejected"):
        raise CliError(f"task {short} is still {task['state']}", exit_code=1, hint=face.again(f"task watch {short}"))
    if task["state"] != "completed":
        error = task["error"] or {"code": "failed", "text": f"the task was {task['state']}", "exit_code": 1}
        hint = "" if face.as_json else face.again(f"why {short}")
        raise CliError(error["text"], code=error["code"], exit_code=error["exit_code"] or 1, hint=hint)
    data, media_type = await client.result(task["id"])
    print_answer(face, task, data, media_type, output)
    if not face.as_json:
        face.note(f"{explain.outcome(task)} · why: {face.again(f'why {short}')}")
    return 0
