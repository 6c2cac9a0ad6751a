"""`coalesced decide`: a dry run, with its numbers and reasons; or a stored decision, made again."""

from typing import Any

import click

from coalesced.cli import explain as explanation
from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.request import build_request, task_options
from coalesced.control import shapes


@click.command()
@task_options
@click.option("--explain", is_flag=True, help="Show the table of options and what would change the decision.")
@click.option(
    "--what-if",
    "what_if",
    multiple=True,
    metavar="NAME=VALUE",
    help="Decide as if: price=-20%, price@SELLER=0.02, rtt=200ms, hourly-rate=0.8; repeatable (docs/economics.md).",
)
@click.option("--replay", "task_id", metavar="TASK", help="Make a stored decision of TASK again, from its inputs.")
@click.option(
    "--number", type=click.IntRange(min=1), help="With --replay: which of its decisions; the last if left out."
)
@command_options
def decide(
    face: Face,
    /,
    *,
    explain: bool,
    what_if: tuple[str, ...],
    task_id: str | None,
    number: int | None,
    **given: Any,
) -> None:
    """What `ask` would decide now for SKILL on TEXT and FILEs, and why. Nothing is bought or run."""
    if task_id is not None:
        if given["skill"]:
            raise CliError("--replay takes a decision as it was stored: leave out the skill and the text")
        replay = face.run(lambda client: client.replay(task_id, number=number, what_if=what_if))
        if face.as_json:
            face.show(replay)
        else:
            face.say("\n".join(explanation.replayed(replay)))
        return
    if number is not None:
        raise CliError("--number says which stored decision is meant: it goes with --replay")
    request: shapes.AskRequest = {**build_request(**given), "what_if": what_if}
    decision = face.run(lambda client: client.decide(request))
    if explain and not face.as_json:
        face.say("\n".join(explanation.explained(decision)))
    else:
        face.show(decision)
