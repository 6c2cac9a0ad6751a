"""A node as a program of its own that stops at one point of a hired job, so that it can be killed exactly there.

    python -m tests.harness.held_client POINT FILE ARGUMENT...

POINT is `award` (its price is locked, no award was sent) or `release` (the result is judged and journalled, nothing was
released). FILE appears when it is there. The rest is the command line of `coalesced`.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from node.outsource.settlement.credits import Credits
from node.outsource.settlement.steward import Steward


def hold_before_award(reached: Path) -> None:
    """Return from locking never."""
    lock = Credits.lock

    async def locked(self: Credits, *args: Any, **kwargs: Any) -> str:
        refused = await lock(self, *args, **kwargs)
        if not refused:
            reached.touch()
            await asyncio.Event().wait()
        return refused

    Credits.lock = locked  # type: ignore[method-assign]


def hold_before_release(reached: Path) -> None:
    """Judge, and do nothing about any deal."""
    judged = Credits.judged

    async def then_told(self: Credits, *args: Any) -> None:
        await judged(self, *args)
        reached.touch()

    async def idle(*_: Any) -> None:
        return None

    Credits.judged = then_told  # type: ignore[assignment,method-assign]
    Steward._act = idle  # type: ignore[assignment,method-assign]


def main() -> None:
    """Change what the point asks for, then be the program."""
    point, file, *arguments = sys.argv[1:]
    {"award": hold_before_award, "release": hold_before_release}[point](Path(file))
    sys.argv[1:] = arguments
    from coalesced.__main__ import main as run

    run()


if __name__ == "__main__":
    main()
