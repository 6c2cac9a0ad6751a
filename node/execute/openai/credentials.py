"""An endpoint's API key, read anew for every task from where its owner keeps it; never stored, shown or logged."""

import os
import stat
from pathlib import Path

from node.errors import UsageError
from node.execute.openai.policy import check_key
from node.views import ModelSource

MAX_KEY_BYTES = 8_192


def read_key(source: ModelSource) -> str:
    """The key, or "" where none is named; UsageError says why it cannot be had."""
    if source.key_env and source.key_file:
        raise UsageError("name the key's variable or its file, not both")
    if source.key_env:
        key = os.environ.get(source.key_env, "")
        if not key:
            raise UsageError(
                f"the daemon's environment has no {source.key_env}: start the daemon with it, or use --key-file"
            )
    elif source.key_file:
        key = key_from_file(Path(source.key_file))
    else:
        return ""
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(f"what {source.key_env or source.key_file} holds is no API key: one line of ASCII")
    check_key(source.url, key)
    return key


def key_from_file(path: Path) -> str:
    """The first line of a file that its owner alone can read; UsageError says what is wrong with it."""
    if not path.is_absolute():
        raise UsageError(f"the key file {path} must be an absolute path")
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise UsageError(f"others can read the key file {path}: chmod 600 {path}")
            lines = file.read(MAX_KEY_BYTES).decode(errors="replace").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read the key file {path}: {error.strerror}") from error
    if not lines or not lines[0].strip():
        raise UsageError(f"the key file {path} is empty")
    return lines[0]
