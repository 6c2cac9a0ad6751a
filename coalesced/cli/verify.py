"""What `--verify` takes: a level, or single checks; each may be said beside the others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from coalesced.cli.errors import CliError

LEVELS: Final = ("none", "cheap", "full", "redundant")
CHECKS: Final = ("citations", "recompute", "judge", "redundant:2", "redundant:3")
SCHEMA: Final = "schema:"
MAX_SCHEMA_BYTES: Final = 64 * 2**10


class Verify(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5 only
    """One word of `--verify`."""

    name = "how"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word as it stands; what it names is checked."""
        text = str(value)
        if text not in LEVELS and text not in CHECKS and not (text.startswith(SCHEMA) and len(text) > len(SCHEMA)):
            known = ", ".join((*LEVELS, *CHECKS, "schema:FILE"))
            self.fail(f"nothing is verified by {text[:40]!r}: write one of {known}", param, ctx)
        return text


def verify_of(words: Sequence[str]) -> tuple[str | None, list[str], str]:
    """The level, the single checks and the schema's text that the words ask for; CliError for what contradicts."""
    levels = [word for word in words if word in LEVELS]
    if len(set(levels)) > 1:
        raise CliError(f"--verify {levels[0]} and --verify {levels[1]} contradict each other: leave one out")
    files = [word.removeprefix(SCHEMA) for word in words if word.startswith(SCHEMA)]
    if len(files) > 1:
        raise CliError("a result fits one schema: give schema:FILE once")
    checks = [word for word in words if word in CHECKS]
    return levels[0] if levels else None, checks, _read(Path(files[0])) if files else ""


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SCHEMA_BYTES + 1)
        if len(data) > MAX_SCHEMA_BYTES:
            raise CliError(f"{path} is over the {MAX_SCHEMA_BYTES} bytes that a schema may have")
        return data.decode()
    except OSError as error:
        raise CliError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CliError(f"{path} is no JSON Schema: it is not UTF-8 text") from error
