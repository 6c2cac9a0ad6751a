"""What goes wrong with stored state, and the translation of SQLite's errors into it.

NodeError
└── StorageError         a file cannot be read or written as asked
    ├── DiskFullError    no space left: nothing of the failed write was saved
    ├── DamagedError     the content is not what was written
    ├── VersionError     written by a newer program, or for another purpose
    └── QuotaError       the node's own limit on stored inputs and results
"""

import sqlite3
from pathlib import Path

from node.errors import NodeError


class StorageError(NodeError):
    """A state file cannot be read or written as asked."""

    code = "storage"


class DiskFullError(StorageError):
    """The disk is full; the write that failed left nothing behind."""

    code = "disk_full"


class DamagedError(StorageError):
    """A state file does not hold what was written to it."""

    code = "damaged"


class VersionError(StorageError):
    """A state file belongs to a newer program or to another purpose."""

    code = "newer_schema"


class QuotaError(StorageError):
    """The configured quota for stored inputs and results leaves no room."""

    code = "quota"


def damaged(where: str, detail: str) -> DamagedError:
    """The error for content that is not what was written, with what to do about it."""
    return DamagedError(
        f"{where} is damaged ({' '.join(detail.split())}): stop the node, then restore the file from a copy, "
        "or move it away and the node starts with an empty one"
    )


def translate(error: Exception, path: Path | None) -> Exception:
    """A StorageError that says what to do, where SQLite's `error` is about the file; otherwise `error` itself."""
    where = "the in-memory database" if path is None else str(path)
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(error, sqlite3.Error) or code is None:
        return error
    match code & 0xFF:  # the low byte is the primary code, the rest says more about it
        case sqlite3.SQLITE_FULL:
            return DiskFullError(
                f"no space left for {where}: this write was not saved; free some space on that disk and try again"
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return damaged(where, str(error))
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return StorageError(
                f"cannot write {where} ({error}): make the file and its directory writable for this user, "
                "or choose another directory"
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StorageError(f"{where} is in use by another process ({error}): stop that process and try again")
        case sqlite3.SQLITE_IOERR:
            return StorageError(
                f"the disk failed under {where} ({error}): check the disk and its quota, then try again"
            )
        case _:
            return error
