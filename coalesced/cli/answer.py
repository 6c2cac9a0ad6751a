"""A result on its way out: raw into a pipe or file, harmless on a terminal, wrapped in JSON on request."""

from base64 import b64encode
from pathlib import Path
from typing import Any

from coalesced.cli import units
from coalesced.cli.errors import CliError
from coalesced.cli.escape import escaped_block
from coalesced.cli.face import Face
from coalesced.control import shapes


def print_answer(face: Face, task: shapes.Task, data: bytes, media_type: str, output: Path | None) -> None:
    """Print or write the result of `task`."""
    if output is not None:
        try:
            output.write_bytes(data)
        except OSError as error:
            # The work is done, and maybe paid: it need not be asked for again.
            again = face.again(f"task result {units.short_task(task['id'])} -o FILE")
            failure = f"cannot write {output}: {error.strerror}"
            raise CliError(failure, code="failed", exit_code=1, hint=again) from error
    if face.as_json:
        face.print_json(answer_view(task, data, media_type))
    elif output is not None:
        face.note(f"{units.size(len(data))} of {media_type} written to {output}")
    elif not face.out.isatty() and hasattr(face.out, "buffer"):
        face.out.flush()
        face.out.buffer.write(data)
        face.out.buffer.flush()
    elif (text := as_text(data)) is not None:
        face.say(escaped_block(text).rstrip("\n"))
    else:
        face.note(f"the answer is {units.size(len(data))} of {media_type}: write it to a file with -o FILE")


def answer_view(task: shapes.Task, data: bytes, media_type: str) -> dict[str, Any]:
    """The answer as one JSON object: `text` where it is UTF-8, else `data` in base64."""
    text = as_text(data)
    content = {"data": b64encode(data).decode()} if text is None else {"text": text}
    return {"schema": "coalesced.answer/1", "media_type": media_type, **content, "task": task}


def as_text(data: bytes) -> str | None:
    """`data` as UTF-8 text; None when it is not."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
