"""Where the passphrase of a sealed key comes from: a file that only the owner can read, else the terminal."""

import stat
import sys
from pathlib import Path

from coalesced.paths import expanded
from node.errors import UsageError

MAX_PASSPHRASE_BYTES = 1024


def read_passphrase(file: str, *, prompt: str = "passphrase of the node's key: ") -> str:
    """The first line of `file`; what is typed at the terminal when `file` is empty. UsageError when neither works."""
    if file:
        return _from_file(expanded(file))
    if not sys.stdin.isatty():
        raise UsageError("the node's key is sealed and there is no terminal to ask at: set node.passphrase_file")
    import getpass

    return getpass.getpass(prompt)


def _from_file(path: Path) -> str:
    try:
        info = path.stat()
        if info.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UsageError(f"others can read the passphrase file {path}: run `chmod 600 {path}`")
        with path.open("rb") as opened:
            lines = opened.read(MAX_PASSPHRASE_BYTES + 1).decode().splitlines()
    except OSError as error:
        raise UsageError(f"cannot read the passphrase file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the passphrase file {path} is not UTF-8 text") from error
    if not lines or not lines[0]:
        raise UsageError(f"the first line of the passphrase file {path} is empty")
    return lines[0]
