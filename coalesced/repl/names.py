"""Names a person may want to type (peers, tasks, skills), kept at hand so that completing asks nobody."""

import asyncio
from collections.abc import Callable
from typing import Final

from coalesced.control.client import ControlClient
from coalesced.control.errors import ControlError

REFRESH_S: Final = 15.0
"""Names change slowly; new tasks are also learned from events at once."""
MAX_NAMES: Final = 500


class Names:
    """A cache that `keep_fresh` fills. Reading it never waits; a node that is away leaves the old names."""

    def __init__(self) -> None:
        self.peers: tuple[str, ...] = ()
        self.tasks: tuple[str, ...] = ()
        self.skills: tuple[str, ...] = ()

    async def refresh(self, client: ControlClient) -> None:
        """Ask the node once."""
        try:
            self.peers = tuple(row["peer"] for row in (await client.peers())["peers"][:MAX_NAMES])
            self.tasks = tuple(row["id"] for row in (await client.tasks(limit=50))["tasks"])
            self.skills = tuple(row["label"] for row in (await client.skills())["skills"][:MAX_NAMES])
        except ControlError:
            return

    def add_task(self, task_id: str) -> None:
        """A task heard of just now comes first."""
        if task_id not in self.tasks:
            self.tasks = (task_id, *self.tasks)[:MAX_NAMES]

    async def keep_fresh(self, client: Callable[[], ControlClient]) -> None:
        """Refresh now and then, for as long as the console is open. `client` gives the current one."""
        while True:
            await self.refresh(client())
            await asyncio.sleep(REFRESH_S)
