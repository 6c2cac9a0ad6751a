"""What every command shares: which node, how to print, how to run a call."""

import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TextIO, TypeVar

import click

from coalesced.cli.escape import escaped_block
from coalesced.paths import Paths, find_paths

if TYPE_CHECKING:
    from coalesced.control.client import ControlClient

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Face:
    """One invocation: the node that is meant, and how the answer is printed."""

    home: Path | None = None
    as_json: bool = False
    debug: bool = False
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    has_reader: bool = True
    """Whether somebody still reads the output, as far as is known: not after `| head` has had its lines."""

    @property
    def paths(self) -> Paths:
        """The files of the node that is meant."""
        return find_paths(self.home, environ=os.environ)

    def run(self, call: Callable[["ControlClient"], Awaitable[T]]) -> T:
        """Run `call` with an open client, to its end. ^C cancels it; a second one leaves at once."""
        import asyncio

        from coalesced.control.client import ControlClient

        async def connected() -> T:
            async with ControlClient(self.paths.socket) as client:
                return await call(client)

        return asyncio.run(connected())

    def again(self, words: str) -> str:
        """The command line that runs `words` against the same node."""
        where = "" if self.home is None else f" --home {shlex.quote(str(self.home))}"
        return f"coalesced{where} {words}"

    def show(self, view: Mapping[str, Any]) -> None:
        """Print a view: JSON on request, else drawn for a terminal or as TSV for a pipe."""
        if self.as_json:
            self.print_json(view)
            return
        from coalesced.cli.render import draw

        draw(view, self.out)

    def print_json(self, value: object) -> None:
        """Print one JSON value: on one line in a pipe, indented on a terminal."""
        import msgspec

        encoded = msgspec.json.encode(value)
        if self.out.isatty():
            encoded = msgspec.json.format(encoded, indent=2)
        self._print_encoded(encoded)

    def print_json_line(self, value: object) -> None:
        """Print one JSON value of many on one line, also on a terminal."""
        import msgspec

        self._print_encoded(msgspec.json.encode(value))

    def _print_encoded(self, encoded: bytes) -> None:
        """On a terminal with everything that could steer it written out, which says the same as JSON."""
        text = encoded.decode()
        if self.out.isatty():
            from node.wording import visible_json

            text = visible_json(text, keep="\n")
        print(text, file=self.out, flush=True)

    def say(self, text: str) -> None:
        """Print text to stdout; what could steer a terminal is written out, wherever it came from."""
        print(escaped_block(text), file=self.out, flush=True)

    def note(self, text: str) -> None:
        """Print text to stderr, likewise: about the answer, not part of it."""
        print(escaped_block(text), file=self.err, flush=True)


def command_options(function: Callable[Concatenate[Face, P], T]) -> Callable[P, T]:
    """Give a command --json, --home and --debug (also accepted before its name), and the Face as first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON that names its schema.")
    @click.option("--home", type=click.Path(path_type=Path), help="The node's directory.", hidden=True)
    @click.option("--debug", is_flag=True, help="Show tracebacks.", hidden=True)
    @click.pass_obj
    @wraps(function)
    def wrapped(face: Face, /, *args: Any, as_json: bool, home: Path | None, debug: bool, **kwargs: Any) -> T:
        face.as_json |= as_json
        face.debug |= debug
        if home is not None:
            face.home = home
        return function(face, *args, **kwargs)

    return wrapped  # type: ignore[return-value]  # click's decorators add the three arguments unseen
