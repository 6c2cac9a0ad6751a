"""`coalesced connect`: writes this node into an MCP client's configuration, or takes it out again."""

import difflib
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options

NAMES: Final = ("claude-code", "cursor", "codex", "vscode")


@click.command()
@click.argument("program", type=click.Choice(NAMES))
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--remove", is_flag=True, help="Take the node out again.")
@click.option("--file", type=click.Path(path_type=Path), help="Another file than the user's own: a project's, say.")
@command_options
def connect(face: Face, /, program: str, dry_run: bool, remove: bool, file: Path | None) -> None:
    """Tell PROGRAM of this node: from its next start on it has the tools of `coalesced mcp`.

    All else in its file stays as it is; the state before is kept beside it. A file that cannot be understood is left
    alone. Running this again changes nothing.
    """
    from coalesced.gateway.mcp.programs.editing import plan_edit, write
    from coalesced.gateway.mcp.programs.errors import EditError
    from coalesced.gateway.mcp.programs.programs import PROGRAMS, command_of, entry_for, file_of

    meant = PROGRAMS[program]
    path = file or file_of(meant, home=Path.home(), environ=os.environ)
    command, arguments = command_of(home=_own_home(face))
    try:
        edit = plan_edit(meant, path, None if remove else lambda there: entry_for(meant, command, arguments, there))
        if edit.changes and not dry_run:
            write(edit)
    except EditError as error:
        raise CliError(str(error), code="failed", exit_code=1) from error
    if face.as_json:
        face.print_json(
            {
                "schema": "coalesced.connect/1",
                "program": program,
                "file": str(edit.file),
                "changed": edit.changes and not dry_run,
                "backup": str(edit.backup) if edit.before is not None and edit.changes and not dry_run else None,
                "command": [command, *arguments],
                "diff": "\n".join(_diff(edit.before, edit.after)),
            }
        )
        return
    if dry_run:
        for one in _diff(edit.before, edit.after):
            face.say(one)
    face.note(_said(edit.changes, dry_run=dry_run, remove=remove, title=meant.title, file=edit.file))
    if edit.changes and not dry_run:
        if edit.before is not None:
            face.note(f"its state before: {edit.backup}")
        if not remove:
            face.note(f"start {meant.title} anew; to look: {meant.look}")
    if not remove and find_spec("mcp") is None:
        face.note("the extra is not installed here yet: pip install 'coalesced[mcp]'")


def _own_home(face: Face) -> Path | None:
    """The node's directory, where it is not the usual one: the client starts with an environment of its own."""
    return face.paths.home if face.home is not None or os.environ.get("COALESCED_HOME") else None


def _said(changes: bool, *, dry_run: bool, remove: bool, title: str, file: Path) -> str:
    if not changes:
        return f"{title} {'does not have' if remove else 'has'} this node{'' if remove else ' already'}: {file}"
    if dry_run:
        return f"nothing was changed; without --dry-run that goes into {file}"
    return f"{title} no longer has this node: {file}" if remove else f"{title} has this node now: {file}"


def _diff(before: bytes | None, after: bytes) -> Iterator[str]:
    """The lines that change, and no others: a client's file may hold secrets."""
    from coalesced.cli.escape import escaped

    old, new = (before or b"").decode().splitlines(), after.decode().splitlines()
    return (escaped(line) for line in difflib.unified_diff(old, new, "before", "after", lineterm="", n=0))
