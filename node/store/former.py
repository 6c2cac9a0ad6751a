"""The journals of keys that a node's present key succeeded: kept beside the current one, and still looked into."""

from pathlib import Path
from typing import Final

import structlog

from node.store.database import Database
from node.store.errors import StorageError
from node.store.migrations import JOURNAL

MAX_FORMER: Final = 4
"""The newest that are looked into: what older ones leave open was settled, or ended by time."""

log = structlog.get_logger()


def set_aside(current: Path, former: str) -> Path:
    """Call the journal by its former key; where it is then. Its last writes go first, so a crash may come between."""
    aside = current.with_name(f"{current.stem}.{former}{current.suffix}")
    for more in ("-wal", "-shm", ""):
        if (part := current.with_name(current.name + more)).exists():
            part.rename(aside.with_name(aside.name + more))
    return aside


async def open_former(current: Path) -> list[Database]:
    """Those that were set aside, the oldest first. One that is damaged is left out: time ends what it leaves open."""
    opened = []
    files = current.parent.glob(f"{current.stem}.*{current.suffix}")
    for file in sorted(files, key=lambda file: file.stat().st_mtime)[-MAX_FORMER:]:
        try:
            opened.append(await Database.open(file, JOURNAL))
        except StorageError as error:
            log.warning("journal.former_left_out", problem=str(error))
    return opened
