"""What every test takes for granted of the process it runs in."""

import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=(HealthCheck.too_slow,))
"""Every run tries the same inputs, on any machine. `--hypothesis-profile=default` draws others."""


def pytest_configure(config: pytest.Config) -> None:
    """Let an interrupt reach the processes that tests start, and let those share compiled code, however this one began.

    A shell without job control starts what it puts into the background (nohup, many build servers) with SIGINT ignored,
    and children inherit that; a signal with a handler is back at its default in them.
    """
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("same")
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Where this is set, every process that a test starts compiles the whole program anew: half a second of work each.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # As coalesced/gateway/a2a/extra.py has it, before a test imports the SDK by itself.
    os.environ.setdefault("OTEL_INSTRUMENTATION_A2A_SDK_ENABLED", "false")
