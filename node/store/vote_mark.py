"""How far this key's log of votes went, noted outside ledger.db: what tells a lost or old copy of that file.

A small file, `ledger.mark`, beside ledger.db. It is written after the votes it counts are durable and before they are
sent, without a sync: the end of the process loses none of it, and a loss of power at most makes it lag, which accuses
nobody. So whoever finds more votes here than in ledger.db knows that votes were sent which ledger.db lacks.
"""

import errno
import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.store.errors import DiskFullError, StorageError
from node.store.files import create_private

NAME: Final = "ledger.mark"
_FIELDS: Final = struct.Struct(">8s32s16sQ")
_MAGIC: Final = b"cl-mark1"
_CHECK_BYTES: Final = 8
ANY_CHAIN: Final = bytes(32)
"""In a mark that says of every chain that this key may have voted there: its home came from a backup."""


@dataclass(frozen=True, slots=True)
class Mark:
    """`votes` records were written to the ledger.db with this `instance`, about this chain."""

    chain: bytes
    instance: bytes
    votes: int


UNKNOWN: Final = Mark(ANY_CHAIN, bytes(16), 1)
"""What the mark of such a home says: votes that no file here knows."""
UNREADABLE: Final = Mark(ANY_CHAIN, bytes(16), 2**63)
"""What a damaged mark says: more than any file can have."""


class VoteMark:
    """The file; without a path, nothing is noted and nothing known."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._descriptor: int | None = None

    def read(self) -> Mark | None:
        """What it says; None where there is none. StorageError when it cannot be read."""
        if self._path is None:
            return None
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self._path} cannot be read ({error.strerror}): make it readable") from error
        if not content:  # made, and the power went before it was written to
            return None
        body, check = content[: _FIELDS.size], content[_FIELDS.size :]
        if len(body) < _FIELDS.size or check != _check(body):
            return UNREADABLE
        magic, chain, instance, votes = _FIELDS.unpack(body)
        return Mark(chain, instance, votes) if magic == _MAGIC else UNREADABLE

    def write(self, mark: Mark) -> None:
        """Note it; StorageError when that fails, and then nothing may be sent."""
        if self._path is None:
            return
        body = _FIELDS.pack(_MAGIC, mark.chain, mark.instance, mark.votes)
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._descriptor, body + _check(body), 0)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFullError(f"no space left for {self._path}: free some space on that disk") from error
            raise StorageError(f"{self._path} cannot be written ({error.strerror}): make it writable") from error

    def sync(self) -> None:
        """Have what was written survive a loss of power."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def mark_unknown(home: Path) -> None:
    """Say that the key of this home may have voted anywhere: for a home that is made from a backup of its key.

    Durable on return, so that the key can be put in place after it. The home is made if it is not there.
    """
    create_private(home / NAME)
    mark = VoteMark(home / NAME)
    try:
        mark.write(UNKNOWN)
        mark.sync()
    finally:
        mark.close()


def misses_votes(mark: Mark | None, chain: bytes, instance: bytes, votes: int) -> bool:
    """Whether this key sent votes on `chain` that a ledger.db of this instance with so many records does not know."""
    if mark is None or mark.chain not in (chain, ANY_CHAIN):
        return False
    return mark.instance != instance or votes < mark.votes


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECK_BYTES]
