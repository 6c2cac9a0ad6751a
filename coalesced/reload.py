"""Reading the configuration again while the node runs: what can change does, the rest is named."""

import msgspec
import structlog

from coalesced.config import Config, ConfigError, load, settings
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
        """Read everything again and apply what can be; one sentence about what changed.

        ConfigError, also in the log, when something is wrong: then what was in force stays so, all of it.
        """
        try:
            new = load(self._config.source)
        except ConfigError as error:
            log.warning("config.refused", error=str(error))
            raise
        changed = changed_settings(self._config, new)
        live = [key for key in changed if key.partition(".")[0] in LIVE]
        waiting = [key for key in changed if key not in live]
        if any(key.startswith("log.") for key in live):
            configure(new.log)
        self._parts.store.spending.caps = new.caps
        # What waits for a restart is not in force: the next reload names it again.
        self._config = msgspec.structs.replace(self._config, log=new.log, caps=new.caps)
        log.info("config.reloaded", changed=live, waiting=waiting)
        text = told(live, waiting)
        self._parts.hub.tell("reloaded", text)
        return text

    async def reload_on_signal(self) -> None:
        """The same for nobody who could be told: a mistake is in the log."""
        try:
            await self.reload()
        except ConfigError:
            return


def changed_settings(old: Config, new: Config) -> list[str]:
    """The settings that differ, as "section.key"."""
    return [
        f"{section}.{info.name}"
        for section, info in settings()
        if getattr(getattr(old, section), info.name) != getattr(getattr(new, section), info.name)
    ]


def told(live: list[str], waiting: list[str]) -> str:
    """What a reload did, in one sentence."""
    parts = [f"in force now: {', '.join(live)}"] if live else []
    parts += [f"needs a restart: {', '.join(waiting)}"] if waiting else []
    return "; ".join(parts) or "nothing has changed"
