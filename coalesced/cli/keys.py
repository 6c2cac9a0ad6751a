"""`coalesced keys`: who this node is. Nothing here ever prints a secret."""

from pathlib import Path

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.keys_kept import backup, restore, revoke, rotate
from coalesced.cli.tables import draw_facts
from coalesced.control.errors import NoDaemonError


@click.group(invoke_without_command=True)
@command_options
def keys(face: Face, /) -> None:
    """The node's identity: its public name, and where its key file is."""
    if click.get_current_context().invoked_subcommand is None:
        show_identity(face)


for _command in (backup, restore, rotate, revoke):
    keys.add_command(_command)


@keys.command()
@command_options
def show(face: Face, /) -> None:
    """The node's did:key, and its key file."""
    show_identity(face)


def show_identity(face: Face) -> None:
    """Print who this node is."""
    file = face.paths.key_file
    did = find_did(face)
    # A node started with --dev has a did and no file.
    sealed = file.exists() and is_sealed(file)
    if face.as_json:
        face.print_json({"schema": "coalesced.keys/1", "did": did, "file": str(file), "sealed": sealed})
        return
    draw_facts([("did", did), ("file", str(file)), ("sealed", "with a passphrase" if sealed else "no")], face.out)


@keys.command()
@command_options
def export(face: Face, /) -> None:
    """Print the did:key alone: what others may know."""
    did = find_did(face)
    if face.as_json:
        face.print_json({"schema": "coalesced.keys/1", "did": did})
    else:
        face.say(did)


def find_did(face: Face) -> str:
    """The running node's did:key, else that of the key file."""
    try:
        return face.run(lambda client: client.status())["did"]
    except NoDaemonError:
        return stored_did(face.paths.key_file)


def stored_did(file: Path) -> str:
    """The did:key of the key in `file`; CliError when there is none or it is sealed."""
    from crypto.identity import did_key
    from node.errors import NodeError
    from node.store.keyfile import load

    _refuse_absent(file)
    try:
        return did_key(load(file).public_key)
    except NodeError as error:
        raise CliError(str(error), code=error.code, exit_code=error.exit_code) from error


def is_sealed(file: Path) -> bool:
    """Whether the key in `file` needs a passphrase; CliError when there is none."""
    from node.errors import NodeError
    from node.store import keyfile

    _refuse_absent(file)
    try:
        return keyfile.is_sealed(file)
    except NodeError as error:
        raise CliError(str(error), code=error.code, exit_code=error.exit_code) from error


def _refuse_absent(file: Path) -> None:
    if not file.exists():
        raise CliError(f"there is no key file {file}", code="failed", exit_code=1, hint="coalesced init")
