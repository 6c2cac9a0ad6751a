"""A task's input from files, and what a sold function keeps of its seller's environment: for command line and SDK."""

import mimetypes
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from coalesced.control import shapes
from coalesced.control.errors import ControlError

MAX_INPUT_BYTES: Final = 2**30
"""What this process is willing to hold; the daemon's own limit (control.max_request_bytes) is far lower."""
MIN_PIECE_BYTES: Final = 16
"""Of a text that is cut: smaller pieces are crumbs that no skill can make anything of."""
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


def chunked(files: Iterable[shapes.InputFile], most_bytes: int) -> list[shapes.InputFile]:
    """The files, each text that is larger cut into pieces of at most that size, at paragraphs where there are any.

    The pieces are named in order (report.txt is report.1.txt, report.2.txt, ...) and together are the text, without
    pieces in which nothing is written. ControlError (`usage`) when a file that is too large is no text, or when so
    small a piece is no longer a text.
    """
    if most_bytes < MIN_PIECE_BYTES:
        raise ControlError("usage", f"pieces of {most_bytes} bytes are too small: {MIN_PIECE_BYTES} at least", 2)
    pieces: list[shapes.InputFile] = []
    for file in files:
        if len(file["data"]) <= most_bytes:
            pieces.append(file)
            continue
        if not file["media_type"].startswith("text/"):
            raise ControlError("usage", f"{file['name']} is {file['media_type']}: only texts can be cut into pieces", 2)
        stem, dot, ending = file["name"].rpartition(".")
        written = (data for data in _cut(file["data"], most_bytes) if data.strip())
        for number, data in enumerate(written, 1):
            name = f"{stem}.{number}.{ending}" if dot else f"{ending}.{number}"
            pieces.append({"name": name, "media_type": file["media_type"], "data": data})
    return pieces


def _cut(text: bytes, most_bytes: int) -> Iterator[bytes]:
    """Pieces that end after a blank line, else a line, else a word, else a character."""
    while len(text) > most_bytes:
        found = (text.rfind(end, 0, most_bytes) + len(end) for end in (b"\n\n", b"\n", b" "))
        # An early break would make a crumb of a piece.
        at = next((place for place in found if place > most_bytes // 2), most_bytes)
        while at > 1 and text[at] & 0xC0 == 0x80:
            at -= 1
        yield text[:at]
        text = text[at:]
    yield text


def _is_json(data: bytes) -> bool:
    """As node/tasks/content.py has it: a sold function imports this, with the Python SDK, where there is no node."""
    if data.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True
