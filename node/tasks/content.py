"""From what an agent hands over (a text, some files) to the one input that a skill works on, and back.

| handed over          | input                                                                   |
|----------------------|-------------------------------------------------------------------------|
| a text               | the text, text/plain                                                    |
| one file             | its bytes, in its own media type                                        |
| both, or more files  | application/json {"text", "files": [{"name", "media_type", "text" or "base64"}]} |

A text that is a JSON object or array goes as JSON to a skill that takes JSON and no plain text (`as_taken`).
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from node.errors import UsageError

TEXT, JSON = "text/plain", "application/json"


@dataclass(frozen=True, slots=True)
class File:
    """One named piece of input."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """An input or a result: bytes and what they are."""

    media_type: str
    data: bytes


def assemble(text: str, files: tuple[File, ...], max_bytes: int) -> Content:
    """The one input made of `text` and `files`; UsageError when there is none or it is over `max_bytes`."""
    if not text and not files:
        raise UsageError("the task has no input: give a text, or a file with -f FILE")
    try:
        if not files:
            content = Content(TEXT, text.encode())
        elif len(files) == 1 and not text:
            content = Content(files[0].media_type, files[0].data)
        else:
            content = Content(JSON, _envelope(text, files))
    except UnicodeEncodeError as error:
        raise UsageError(f"the text or a file's name is not valid Unicode at character {error.start}") from error
    if len(content.data) > max_bytes:
        raise UsageError(
            f"the input is {len(content.data)} bytes, over the limit of {max_bytes}: "
            "split it, or raise client.max_input_bytes"
        )
    return content


def as_taken(content: Content, takes: Sequence[str]) -> Content:
    """The input for a skill that takes these media types: what was typed in as a text may be the JSON it asks for."""
    is_fit = content.media_type != TEXT or TEXT in takes or JSON not in takes
    return content if is_fit or not is_json(content.data) else replace(content, media_type=JSON)


def is_json(data: bytes) -> bool:
    """Whether `data` is a JSON object or array; a number or a quoted word may as well be meant as text."""
    if data.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def _envelope(text: str, files: tuple[File, ...]) -> bytes:
    def entry(file: File) -> dict[str, str]:
        try:
            body = {"text": file.data.decode()}
        except UnicodeDecodeError:
            body = {"base64": b64encode(file.data).decode()}
        return {"name": file.name, "media_type": file.media_type, **body}

    return json.dumps({"text": text, "files": [entry(file) for file in files]}, ensure_ascii=False).encode()
