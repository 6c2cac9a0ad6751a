"""What a failed end-to-end test shows beside its error."""

from collections.abc import Generator

import pytest

from tests.harness.processes import OPEN

SHOWN_CHARS = 20_000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of what each daemon wrote."""
    report = yield
    if report.failed:
        for daemon in (daemon for made in OPEN for daemon in made.made):
            report.sections.append((f"output of {daemon.home.name}", daemon.log_text()[-SHOWN_CHARS:]))
    return report
