"""What the demo prints, and what it claims: every claim is checked, and one that does not hold fails the demo."""

import io
import re
import shutil
import sys
import textwrap
from dataclasses import dataclass, field
from typing import Any, TextIO

from coalesced.cli.escape import escaped
from coalesced.cli.render import draw, event_line
from coalesced.control.shapes import Event

MAX_WIDTH = 110
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Drawing(io.StringIO):
    """Text of which views are drawn as for a terminal."""

    def isatty(self) -> bool:
        """Yes: it is meant to be read."""
        return True


@dataclass
class Stage:
    """Prints, and keeps the claims with whether each held."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    claims: list[tuple[str, bool]] = field(default_factory=list)

    def title(self, text: str) -> None:
        """A new act."""
        width = min(MAX_WIDTH, shutil.get_terminal_size((100, 24)).columns)
        self._print(f"\n── {text} ".ljust(width, "─"))

    def say(self, text: str) -> None:
        """A sentence or two about what happens."""
        self._print(textwrap.fill(escaped(text), MAX_WIDTH))

    def command(self, text: str) -> None:
        """The command that a person would type for what follows."""
        self._print(f"\n$ {escaped(text)}")

    def event(self, event: Event) -> None:
        """One thing that happened."""
        self._print(f"  {event_line(event)}")

    def show(self, view: Any) -> None:
        """A view of the control API, drawn as the command line draws it."""
        drawn = Drawing()
        draw(view, drawn)
        text = drawn.getvalue().rstrip("\n")
        self._print(text if self.out.isatty() else _STYLE.sub("", text))

    def claim(self, text: str, holds: bool) -> None:
        """Something that must be so."""
        self.claims.append((text, holds))
        self._print(f"  {'✓' if holds else '✗ NOT SO:'} {escaped(text)}")

    @property
    def failed(self) -> list[str]:
        """The claims that did not hold."""
        return [text for text, holds in self.claims if not holds]

    def _print(self, text: str) -> None:
        print(text, file=self.out, flush=True)
