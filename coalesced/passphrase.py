"""Where a passphrase comes from: an open file descriptor, a file that only the owner can read, else the terminal.

Never the command line: arguments are anybody's to see.
"""

import os
import stat
import sys
from pathlib import Path

from coalesced.paths import expanded
from node.errors import UsageError

MAX_PASSPHRASE_BYTES = 1024


def read_passphrase(file: str, *, prompt: str = "passphrase of the node's key: ", descriptor: int | None = None) -> str:
    """The first line of `descriptor` or of `file`; what is typed at the terminal without either.

    UsageError when none of them works.
    """
    if descriptor is not None:
        return _from_descriptor(descriptor)
    if file:
        return _from_file(expanded(file))
    if not sys.stdin.isatty():
        raise UsageError("a passphrase is needed and there is no terminal to ask at: give a passphrase file")
    import getpass

    return getpass.getpass(prompt)


def new_passphrase(file: str, *, descriptor: int | None = None) -> str:
    """A passphrase to seal with: typed twice at the terminal."""
    first = read_passphrase(file, prompt="new passphrase: ", descriptor=descriptor)
    if not file and descriptor is None and read_passphrase("", prompt="again: ") != first:
        raise UsageError("the two passphrases differ")
    return first


def _from_descriptor(descriptor: int) -> str:
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as opened:
            return _first_line(opened.readline(MAX_PASSPHRASE_BYTES + 1), f"file descriptor {descriptor}")
    except OSError as error:
        raise UsageError(f"cannot read file descriptor {descriptor}: {error.strerror}") from error


def _from_file(path: Path) -> str:
    try:
        info = path.stat()
        if info.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UsageError(f"others can read the passphrase file {path}: run `chmod 600 {path}`")
        with path.open("rb") as opened:
            return _first_line(opened.read(MAX_PASSPHRASE_BYTES + 1), f"the passphrase file {path}")
    except OSError as error:
        raise UsageError(f"cannot read the passphrase file {path}: {error.strerror}") from error


def _first_line(read: bytes, where: str) -> str:
    try:
        lines = read.decode().splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not UTF-8 text") from error
    if not lines or not lines[0]:
        raise UsageError(f"the first line of {where} is empty")
    return lines[0]
