"""How often Python's garbage collector looks for cycles in a process that lives long."""

import gc
from typing import Final

YOUNG_OBJECTS: Final = 10_000
"""That come into being before the youngest are looked through; Python's own 700 makes a tenth of a busy node's CPU."""


def spare_collector() -> None:
    """Have it look less often, and never again at what is there now: modules, types, settings.

    For the main program once it is up. What frees most memory, counting references, goes on as before; of cycles, a
    node makes few, and those wait for some megabytes instead of some hundred kilobytes of new objects.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
