"""coalesced: a node that decides, per task, whether to run it here or to hire another agent, and says why.

`coalesced.connect()` reaches the node on this machine; `coalesced.skill.skill` marks a function that can be sold.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from coalesced.sdk import connect as connect
else:

    def __getattr__(name: str) -> Any:
        # Loaded on first use: every process that imports this package would otherwise pay for an HTTP client.
        if name == "connect":
            from coalesced.sdk import connect

            return connect
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
