"""What a command prints on the screen, with a copy of its beginning for `$_`."""

import io
from typing import TextIO

MAX_KEPT_CHARS = 65_536
"""`$_` is for a result to be asked about again; more than this belongs into a file."""


class KeepingOutput(io.StringIO):
    """Passes everything on to `target`, a terminal if that is one, and keeps its beginning."""

    def __init__(self, target: TextIO) -> None:
        super().__init__()
        self._target = target
        self._room = MAX_KEPT_CHARS

    @property
    def text(self) -> str:
        """What was kept, without the line break at its end."""
        return self.getvalue().removesuffix("\n")

    def write(self, text: str, /) -> int:
        """Write through."""
        if self._room > 0:
            super().write(text[: self._room])
            self._room -= len(text)
        return self._target.write(text)

    def flush(self) -> None:
        """Flush what is behind."""
        self._target.flush()

    def isatty(self) -> bool:
        """Whether people read it: tables are drawn for them."""
        return self._target.isatty()
