"""A plan's graph while it runs: redrawn on a terminal, elsewhere a line for each change of a step. All on stderr."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TextIO

from coalesced.cli.escape import escaped
from coalesced.cli.plangraph import change_line, graph_lines
from coalesced.control import shapes
from coalesced.control.client import ControlClient

if TYPE_CHECKING:
    from rich.live import Live

REDRAW_S: Final = 0.2
"""At most so often: between two drawings the daemon is asked how the graph stands."""
TOLD: Final = frozenset({"planned", "step", "progress"})
"""Events of a plan that the graph shows."""


class LiveGraph:
    """Shows a plan's events. What is no plan's is not shown: `takes` says so."""

    def __init__(self, err: TextIO, client: ControlClient, *, lines: bool) -> None:
        """`lines`: off a terminal, print a line for each change; else nothing is printed there."""
        self._err = err
        self._client = client
        self._lines = lines
        self._is_plan = False
        self._live: Live | None = None
        self._drawn_s = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the graph away: what is printed next may be its last state, or a question."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def takes(self, event: shapes.Event) -> bool:
        """Whether this event belongs to a plan's graph: from its first step on, or from when it was planned."""
        self._is_plan |= event["name"] in ("planned", "step")
        return self._is_plan and event["name"] in TOLD

    async def show(self, event: shapes.Event) -> None:
        """Show one event that it takes."""
        if self._err.isatty():
            now_s = asyncio.get_running_loop().time()
            if now_s - self._drawn_s >= REDRAW_S:
                self._draw((await self._client.why(event["task_id"]))["steps"])
                self._drawn_s = asyncio.get_running_loop().time()
        elif self._lines:
            step = event["step"]
            print(escaped(event["text"]) if step is None else change_line(step), file=self._err, flush=True)

    def _draw(self, steps: Sequence[shapes.Step]) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        if self._live is None:
            console = Console(file=self._err, highlight=False)
            self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="ellipsis")
            self._live.start()
        self._live.update(Text("\n".join(graph_lines(steps)), no_wrap=True, overflow="ellipsis"), refresh=True)
