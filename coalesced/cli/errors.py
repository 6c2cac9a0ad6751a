"""What the command line says when it cannot do what it was asked."""

from pathlib import Path
from typing import Final


class CliError(Exception):
    """One clear line for the user, what to try, and the exit code (2 = the call itself was wrong)."""

    def __init__(self, text: str, *, code: str = "usage", exit_code: int = 2, hint: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.exit_code = exit_code
        self.hint = hint


HINTS: Final = {
    "no_offer": "coalesced skills ls; coalesced skills find LABEL",
    "timed_out": "a longer --deadline, or coalesced task watch ID",
    "verification_failed": "coalesced why ID",
}
"""What to try next, by error code, where the text of the error does not say it already."""

INTERRUPTED = 130


def unreadable(path: Path, error: OSError) -> CliError:
    """What to say of a file that the system does not give."""
    return CliError(f"{path} cannot be read: {error.strerror}", code="failed", exit_code=1)
