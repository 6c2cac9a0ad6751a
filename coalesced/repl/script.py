"""Console lines from a file or from --exec: run in order, stopped by the first error, which names its line."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from coalesced.cli.errors import CliError

MAX_SCRIPT_BYTES = 2**20


class RunsLines(Protocol):
    """What a script is run by: a console session, or a testnet that is asked whether expectations hold."""

    has_reader: bool
    wants_to_leave: bool

    async def execute(self, text: str) -> int:
        """Run one line; its exit code."""
        ...  # pragma: no cover


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """One line and where it stands: `where` is "setup.txt:3" or "--exec 1"."""

    where: str
    text: str


def given_lines(commands: Sequence[str]) -> list[ScriptLine]:
    """The lines of --exec options."""
    return [ScriptLine(f"--exec {at}", text) for at, text in enumerate(commands, 1)]


def file_lines(path: Path) -> list[ScriptLine]:
    """The lines of a script; "-" is standard input. CliError when it cannot be read."""
    name = "<stdin>" if str(path) == "-" else str(path)
    try:
        data = sys.stdin.buffer.read(MAX_SCRIPT_BYTES + 1) if name == "<stdin>" else path.read_bytes()
        if len(data) > MAX_SCRIPT_BYTES:
            raise CliError(f"{name} is longer than {MAX_SCRIPT_BYTES} bytes: that is no console script")
        text = data.decode()
    except OSError as error:
        raise CliError(f"cannot read {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CliError(f"{name} is not UTF-8 text: byte {error.start} is 0x{data[error.start]:02x}") from error
    return [ScriptLine(f"{name}:{at}", line) for at, line in enumerate(text.splitlines(), 1)]


async def run_script(session: RunsLines, lines: Sequence[ScriptLine]) -> int:
    """Run `lines`; 0, or the exit code of the first that failed, after saying on stderr which it was."""
    for line in lines:
        code = await session.execute(line.text)
        if code != 0 and not session.has_reader:
            return code  # `| head` has what it wanted: nothing failed that anybody should hear of
        if code != 0:
            print(f"{line.where}: stopped here, exit code {code}: {line.text.strip()}", file=sys.stderr, flush=True)
            return code
        if session.wants_to_leave:
            break
    return 0
