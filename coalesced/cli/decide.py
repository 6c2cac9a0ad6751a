"""`coalesced decide`: a dry run, with its numbers and reasons."""

from typing import Any

import click

from coalesced.cli import explain as explanation
from coalesced.cli.face import Face, command_options
from coalesced.cli.request import build_request, task_options


@click.command()
@task_options
@click.option("--explain", is_flag=True, help="Show the table of options and what would change the decision.")
@command_options
def decide(face: Face, /, *, explain: bool, **given: Any) -> None:
    """What `ask` would decide now for SKILL on TEXT and FILEs, and why. Nothing is bought or run."""
    request = build_request(**given)
    decision = face.run(lambda client: client.decide(request))
    if explain and not face.as_json:
        face.say("\n".join(explanation.explained(decision)))
    else:
        face.show(decision)
