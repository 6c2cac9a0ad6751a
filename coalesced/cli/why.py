"""`coalesced why`: one task, explained on one screen."""

import click

from coalesced.cli.face import Face, command_options


@click.command()
@click.argument("task_id", metavar="TASK")
@command_options
def why(face: Face, /, task_id: str) -> None:
    """How TASK was decided, what was tried, what happened, and what was signed."""
    face.show(face.run(lambda client: client.why(task_id)))
