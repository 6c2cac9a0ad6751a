"""`coalesced journal`: the permanent record of receipts and reports."""

import click

from coalesced.cli.face import Face, command_options


@click.group()
def journal() -> None:
    """The permanent record of receipts and reports."""


@journal.command()
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@command_options
def tail(face: Face, /, limit: int) -> None:
    """The latest entries, oldest first."""
    face.show(face.run(lambda client: client.journal_tail(limit)))


@journal.command()
@click.argument("height", type=click.IntRange(min=0))
@command_options
def show(face: Face, /, height: int) -> None:
    """One entry in full."""
    face.show(face.run(lambda client: client.journal_show(height)))


@journal.command()
@command_options
def verify(face: Face, /) -> int:
    """Recompute every hash and signature from the first entry on."""
    verified = face.run(lambda client: client.journal_verify())
    face.show(verified)
    return 0 if verified["ok"] else 7
