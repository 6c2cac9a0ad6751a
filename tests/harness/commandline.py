"""Command lines run in this process: what they print on a terminal or in a pipe, and their exit codes."""

import io
import re
from pathlib import Path

import msgspec

from coalesced.cli.face import Face
from coalesced.cli.main import run


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Ran:
    """One command line that ran in this process."""

    def __init__(self, home: Path, *arguments: str, terminal: bool = False) -> None:
        out, err = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
        self.code = run(arguments, Face(home=home, out=out, err=err))
        # What rich adds for boldness; every other escape would have to come from the node.
        self.out = re.sub("\x1b\\[[01]m", "", out.getvalue())
        self.err = err.getvalue()

    @property
    def json(self) -> dict[str, object]:
        return msgspec.json.decode(self.out, type=dict[str, object])

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()
