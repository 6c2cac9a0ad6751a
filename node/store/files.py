"""State files that only their owner can read: 0600 in a directory of 0700."""

import os
from pathlib import Path

from node.store.errors import StorageError


def create_private(path: Path) -> bool:
    """Make sure that `path` is a file of mode 0600, in a directory created with 0700; whether it is new.

    An existing directory keeps its mode: it may be the user's own. StorageError when either cannot be had.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
            return path.stat().st_size == 0
    except OSError as error:
        raise StorageError(
            f"cannot create {path} ({error.strerror}): make its directory writable for this user, "
            "or choose another directory"
        ) from error
    return True
