"""The file of lines typed before, readable by its owner only."""

import os
from pathlib import Path

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

HISTORY_FILE = "console_history"


def open_history(home: Path) -> History:
    """The history in `home`, made or set to 0600; one in memory where there is no such directory to write to."""
    path = home / HISTORY_FILE
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))
