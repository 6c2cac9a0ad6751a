"""A task's input from files, and what a sold function keeps of its seller's environment: for command line and SDK."""

import mimetypes
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from coalesced.control import shapes
from coalesced.control.errors import ControlError

MAX_INPUT_BYTES: Final = 2**30
"""What this process is willing to hold; the daemon's own limit (control.max_request_bytes) is far lower."""
KEPT_VARIABLES: Final = frozenset({"PATH", "VIRTUAL_ENV", "PYTHONPATH", "HOME", "LANG", "TMPDIR"})
"""And LC_*: where programs and modules are, whose files, in which language. None of them is a secret."""
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,80}")


def kept_environment(environment: Mapping[str, str], names: Iterable[str] = ()) -> dict[str, str]:
    """What a sold function needs to be found and to run, and the variables of those names."""
    wanted = {*KEPT_VARIABLES, *names}
    return {name: text for name, text in environment.items() if name in wanted or name.startswith("LC_")}


def read_files(names: Iterable[str | Path]) -> list[shapes.InputFile]:
    """The named files; "-" is stdin, once. ControlError (`usage`) when one cannot be read or all are too large."""
    files: list[shapes.InputFile] = []
    total = 0
    seen_stdin = False
    for name in map(str, names):
        if name == "-" and seen_stdin:
            raise ControlError("usage", "stdin can be read only once: give - once", 2)
        seen_stdin |= name == "-"
        data = _read(name)
        total += len(data)
        if total > MAX_INPUT_BYTES:
            raise ControlError("usage", f"the input is larger than {MAX_INPUT_BYTES} bytes", 2)
        shown = "stdin" if name == "-" else Path(name).name[:255]
        files.append({"name": shown, "media_type": media_type_of(shown, data), "data": data})
    return files


def _read(name: str) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        with Path(name).open("rb") as file:
            return file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise ControlError("usage", f"cannot read {name}: {error.strerror}", 2) from error


def media_type_of(name: str, data: bytes) -> str:
    """The media type by file name, else by content: a JSON object or array, other UTF-8 text, anything else."""
    guessed, encoding = mimetypes.guess_type(name)
    if guessed is not None and encoding is None and _MEDIA_TYPE.fullmatch(guessed.lower()):
        return guessed.lower()
    try:
        data.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "application/json" if _is_json(data) else "text/plain"


def _is_json(data: bytes) -> bool:
    """Whether `data` is a JSON object or array; a number or a quoted word may as well be meant as text."""
    if data.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True
