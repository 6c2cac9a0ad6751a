"""Reading the configuration again while the node runs: what can change does, the rest is named."""

import structlog

from coalesced.config import SECTIONS, Config, load
from coalesced.logs import configure
from node.daemon import Parts

log = structlog.get_logger()

LIVE = frozenset({"log", "caps"})
"""Sections that take effect at once: how much is logged and how much may be spent are what one changes in a hurry."""


class Reloader:
    """Holds the configuration that is in force."""

    def __init__(self, config: Config, parts: Parts) -> None:
        self._config = config
        self._parts = parts

    async def reload(self) -> str:
        """Read everything again and apply what can be; one sentence about what changed. ConfigError changes nothing."""
        new = load(self._config.source)
        changed = [name for name in SECTIONS if getattr(new, name) != getattr(self._config, name)]
        if "log" in changed:
            configure(new.log)
        if "caps" in changed:
            self._parts.store.spending.caps = new.caps
        self._config = new
        log.info("config.reloaded", changed=changed)
        text = _told(changed)
        self._parts.hub.tell("reloaded", text)
        return text


def _told(changed: list[str]) -> str:
    if not changed:
        return "nothing has changed"
    waiting = [name for name in changed if name not in LIVE]
    restart = f"; a restart is needed for: {', '.join(waiting)}" if waiting else ""
    return f"changed: {', '.join(changed)}{restart}"
