"""`coalesced init`: a node's directory, key and configuration. What exists is kept."""

import os
from pathlib import Path

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.keys import is_sealed, stored_did
from coalesced.paths import make_private


@click.command()
@click.option("--seal", is_flag=True, help="Seal the key with a passphrase, asked for at the terminal.")
@click.option("--passphrase-file", default="", help="Seal the key with the first line of this file.")
@command_options
def init(face: Face, /, seal: bool, passphrase_file: str) -> None:
    """Create a node's directory (0700), its key (0600) and a commented configuration.

    `coalesced start` does the same for what is missing; run this to look at the configuration first.
    """
    paths = face.paths
    make_private(paths.home)
    made = [_write_sample(paths.config_file), _make_key(paths.key_file, seal=seal, passphrase_file=passphrase_file)]
    did = "" if is_sealed(paths.key_file) else stored_did(paths.key_file)
    if face.as_json:
        files = {"home": str(paths.home), "config": str(paths.config_file), "key": str(paths.key_file)}
        face.print_json({"schema": "coalesced.init/1", "did": did, **files})
        return
    for line in made:
        face.say(line)
    if did:
        face.say(f"this node is {did}")
    face.say("next: coalesced start")


def _write_sample(file: Path) -> str:
    from coalesced.config_sample import sample

    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return f"kept the configuration {file}"
    except OSError as error:
        raise CliError(f"cannot write {file}: {error.strerror}", code="failed", exit_code=1) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(sample())
    return f"wrote the configuration {file}"


def _make_key(file: Path, *, seal: bool, passphrase_file: str) -> str:
    from coalesced.passphrase import new_passphrase
    from node.errors import NodeError
    from node.store.keyfile import create

    try:
        passphrase = new_passphrase(passphrase_file) if seal or passphrase_file else None
        create(file, os.urandom, passphrase)
    except FileExistsError:
        return f"kept the key {file}"
    except NodeError as error:
        raise CliError(str(error), code=error.code, exit_code=error.exit_code) from error
    return f"wrote the key {file}: keep a copy, losing it is losing this node's reputation"
