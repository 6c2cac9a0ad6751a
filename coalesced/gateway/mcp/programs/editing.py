"""A client's configuration file changed: understood before and after, replaced at once, its state before kept."""

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coalesced.gateway.mcp.programs import jsontext, tomltext
from coalesced.gateway.mcp.programs.errors import EditError
from coalesced.gateway.mcp.programs.programs import ENTRY, Program

BACKUP_SUFFIX = ".before-coalesced"
MAX_FILE_BYTES = 64 * 2**20
MakeEntry = Callable[[Mapping[str, Any]], dict[str, Any]]
"""The entry to write, from the one that is there."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change that has been worked out. `file` is where the name leads, through links."""

    file: Path
    before: bytes | None
    after: bytes

    @property
    def changes(self) -> bool:
        """Whether there is anything to write."""
        return self.after != (self.before or b"")

    @property
    def backup(self) -> Path:
        """Where the state before is kept."""
        return self.file.with_name(self.file.name + BACKUP_SUFFIX)


def plan_edit(program: Program, path: Path, make_entry: MakeEntry | None) -> Edit:
    """What has to be written so that the file holds the entry, or (None) does not; EditError when that is not clear."""
    file, before = _read(path)
    try:
        text = (before or b"").decode()
        after = _edited(program, text, make_entry)
    except UnicodeDecodeError as error:
        raise EditError(f"{file} is not UTF-8: nothing was changed") from error
    except EditError as error:
        raise EditError(f"{file} cannot be changed safely ({error}): nothing was changed") from error
    return Edit(file, before, after.encode())


def write(edit: Edit) -> None:
    """Put the new state in the old one's place in one step, which it is copied from; EditError when it cannot be."""
    try:
        edit.file.parent.mkdir(parents=True, exist_ok=True)
        if edit.before is not None:
            mode = edit.file.stat().st_mode & 0o777
            _replace(edit.backup, edit.before, mode)
            if edit.file.read_bytes() != edit.before:
                raise EditError(f"{edit.file} has just been changed by somebody else: run this again")
        else:
            mode = 0o600
        _replace(edit.file, edit.after, mode)
    except OSError as error:
        raise EditError(f"cannot write {error.filename or edit.file}: {error.strerror}") from error


def _edited(program: Program, text: str, make_entry: MakeEntry | None) -> str:
    """The new text, which says what the old one says but for the entry."""
    form: Any = jsontext if program.form == "json" else tomltext
    said = form.plain(text)
    group = said.get(program.group, {})
    if not isinstance(group, dict):
        raise EditError(f"its {program.group!r} is no table of servers")
    there = group.get(ENTRY)
    wanted = deepcopy(said)
    if make_entry is None:
        if there is None:
            return text
        wanted[program.group].pop(ENTRY)
        after: str = form.without_entry(text, program.group, ENTRY)
        # A table that only its own tables made is gone with the last of them.
        same = [wanted, {name: value for name, value in wanted.items() if name != program.group or value}]
    else:
        entry = make_entry(there if isinstance(there, dict) else {})
        if there == entry:
            return text
        wanted.setdefault(program.group, {})[ENTRY] = entry
        after = form.with_entry(text, program.group, ENTRY, entry)
        same = [wanted]
    if form.plain(after) not in same:
        raise EditError(f"{program.group}.{ENTRY} is written in a way that has to be changed by hand")
    return after


def _read(path: Path) -> tuple[Path, bytes | None]:
    try:
        file = path.resolve()
        if not file.exists():
            return file, None
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
    except (OSError, RuntimeError) as error:
        raise EditError(f"cannot read {path}: {error}") from error
    if len(data) > MAX_FILE_BYTES:
        raise EditError(f"{file} is larger than {MAX_FILE_BYTES} bytes: nothing was changed")
    return file, data


def _replace(file: Path, data: bytes, mode: int) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        Path(name).chmod(mode)
        Path(name).replace(file)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
