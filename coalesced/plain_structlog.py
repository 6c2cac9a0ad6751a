"""Loads structlog without rich, which it takes, where it finds it, to show tracebacks with local variables."""

import sys
from types import ModuleType
from typing import cast


def load_structlog() -> None:
    """Load structlog as where rich is not installed; to be called before whatever else imports structlog.

    The daemon's tracebacks are plain in either form of its log: local variables may hold keys. So it needs neither
    rich nor pygments, 3 MiB of its memory. What imports rich afterwards gets it.
    """
    if "rich" in sys.modules:
        return
    # What Python documents for "is not to be found".
    sys.modules["rich"] = cast("ModuleType", None)
    try:
        import structlog  # noqa: F401
    finally:
        del sys.modules["rich"]
