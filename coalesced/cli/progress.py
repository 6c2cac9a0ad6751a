"""A task's events while it runs: one live line on a terminal, with what matters kept above it. All on stderr."""

from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TextIO

from coalesced.cli import explain
from coalesced.cli.escape import escaped
from coalesced.control import shapes

if TYPE_CHECKING:
    from rich.status import Status

STAGES: Final = {
    "submitted": "pricing the work here",
    "understood": "pricing the work here",
    "local_priced": "looking for sellers",
    "sellers_found": "asking for quotes",
    "quotes": "deciding",
    "decided": "starting",
    "planned": "starting the steps",
    "step": "working",
    "awarded": "waiting for the contractor",
    "accepted": "working",
    "progress": "working",
    "input_required": "waiting for an answer",
    "verified": "signing the receipt",
    "receipt": "fetching the result",
    "fell_back": "trying the next",
}
KEPT: Final = frozenset({"understood", "decided", "fell_back", "input_required", "verified"})
"""Events that stay on the screen."""


class Progress:
    """Shows events as they come. Off a terminal it prints a line an event if `always`, else nothing."""

    def __init__(self, err: TextIO, *, always: bool) -> None:
        self._err = err
        self._always = always
        self._live: Status | None = None

    def __enter__(self) -> Self:
        if self._err.isatty() and not self._always:
            from rich.console import Console
            from rich.status import Status
            from rich.text import Text

            self._live = Status(Text("submitting"), console=Console(file=self._err, highlight=False))
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pause()

    def pause(self) -> None:
        """Take the live line away, so that somebody can type."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, event: shapes.Event) -> None:
        """Show one event."""
        if self._always:
            from coalesced.cli.render import event_line

            print(event_line(event), file=self._err, flush=True)
            return
        if not self._err.isatty():
            return
        line = stage_line(event)
        if self._live is None:
            if event["name"] in KEPT:
                print(line, file=self._err, flush=True)
            return
        from rich.text import Text

        if event["name"] in KEPT:
            # Through the live line's own console, which takes that line away first.
            self._live.console.print(Text(line))
        self._live.update(Text(line))


def stage_line(event: shapes.Event) -> str:
    """What is being done now, in one line."""
    stage = STAGES.get(event["name"], event["name"])
    if event["decision"] is not None:
        return explain.headline(event["decision"])
    percent = "" if event["done_ppm"] is None else f" {event['done_ppm'] / 10_000:.0f} %"
    detail = event["question"] or event["text"]
    peer = f" {event['peer']}" if event["peer"] else ""
    return escaped(f"{stage}{peer}{percent}" + (f": {detail}" if detail else ""))
