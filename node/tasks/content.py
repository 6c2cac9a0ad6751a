"""From what an agent hands over (a text, some files) to the one input that a skill works on, and back.

| handed over          | input                                                                   |
|----------------------|-------------------------------------------------------------------------|
| a text               | the text, text/plain                                                    |
| one file             | its bytes, in its own media type                                        |
| both, or more files  | application/json {"text", "files": [{"name", "media_type", "text" or "base64"}]} |
"""

import json
from base64 import b64encode
from dataclasses import dataclass

from node.errors import UsageError

ENVELOPE = "application/json"


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
            content = Content("text/plain", text.encode())
        elif len(files) == 1 and not text:
            content = Content(files[0].media_type, files[0].data)
        else:
            content = Content(ENVELOPE, _envelope(text, files))
    except UnicodeEncodeError as error:
        raise UsageError(f"the text or a file's name is not valid Unicode at character {error.start}") from error
    if len(content.data) > max_bytes:
        raise UsageError(
            f"the input is {len(content.data)} bytes, over the limit of {max_bytes}: "
            "split it, or raise client.max_input_bytes"
        )
    return content


def _envelope(text: str, files: tuple[File, ...]) -> bytes:
    def entry(file: File) -> dict[str, str]:
        try:
            body = {"text": file.data.decode()}
        except UnicodeDecodeError:
            body = {"base64": b64encode(file.data).decode()}
        return {"name": file.name, "media_type": file.media_type, **body}

    return json.dumps({"text": text, "files": [entry(file) for file in files]}, ensure_ascii=False).encode()
