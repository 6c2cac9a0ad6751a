"""The live line of a task on a terminal."""

import time

import msgspec
import pytest

from coalesced.cli.progress import Progress
from node.views import EventView
from tests.harness.commandline import Terminal


def test_what_stays_is_printed_only_after_the_live_line_was_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    err = Terminal()
    working = EventView(name="accepted", at_unix_ms=1, task_id="ab" * 16, text="work has begun")
    verified = EventView(
        name="verified", at_unix_ms=2, task_id="ab" * 16, peer="dlyjzsbw", text="cheap check: accepted"
    )
    with Progress(err, always=False) as progress:
        progress.show(msgspec.to_builtins(working))
        deadline_s = time.monotonic() + 60
        while "work has begun" not in err.getvalue() and time.monotonic() < deadline_s:
            pass  # rich draws in a thread of its own
        progress.show(msgspec.to_builtins(verified))
    before, _, after = err.getvalue().partition("signing the receipt dlyjzsbw: cheap check: accepted\n")
    assert before.endswith("\x1b[2K")
    assert after
