"""Whoever does not ask for A2A pays nothing for it, and whoever lacks its packages is told which extra to install."""

import subprocess
import sys

import pytest

HEAVY = {"a2a", "google", "httpx", "pydantic", "starlette"}


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("module", ["coalesced.app", "coalesced.gateway.a2a.buying.agents"])
def test_neither_the_daemon_nor_buying_loads_the_sdk(module: str) -> None:
    loaded = {name.split(".")[0] for name in run(f"import sys, {module}; print(*sys.modules)").split()}
    assert loaded & HEAVY == set()


def test_a_missing_package_names_the_extra() -> None:
    told = run(
        "import sys; sys.modules['a2a'] = None\n"
        "from coalesced.gateway.a2a.extra import ExtraMissingError, load_extra\n"
        "try: load_extra('serve')\n"
        "except ExtraMissingError as error: print(error)"
    )
    assert "pip install 'coalesced[a2a]'" in told


def test_tracing_is_off_before_the_sdk_is_loaded() -> None:
    told = run(
        "from coalesced.gateway.a2a.extra import load_extra; load_extra('serve')\n"
        "from a2a.utils import telemetry; print(telemetry.otel_enabled)"
    )
    assert told.strip() == "False"
