"""What goes wrong inside a node, as types. Each carries the exit code that the command line gives it.

NodeError                   failed                          exit 1
├── UsageError              the request itself is wrong     exit 2
├── NoOfferError            nobody sells it, nor can we     exit 4
├── RefusedError            policy or budget forbids it     exit 5
├── DeadlineError           it took too long                exit 6
└── VerificationError       every result failed its check   exit 7

Expected outcomes (no offer from one peer, a LOCAL decision, one peer's time-out) are values, not errors.
"""

from collections.abc import Iterator
from typing import ClassVar, Final

CANCELLED: Final = "cancelled"
"""The code of what its owner ended: no error, so no class below has it."""
CANCELLED_EXIT_CODE: Final = 130
"""What a shell gives for an interrupt."""


class NodeError(Exception):
    """Root of the node's errors: the text says what, which value, against which limit, what to do."""

    code: str = "failed"
    exit_code: ClassVar[int] = 1
    spent_micro: int = 0
    """What was spent all the same: whoever works for this node elsewhere may bill for attempts too."""


class UsageError(NodeError):
    """The caller asked for something that does not exist or is malformed."""

    code = "usage"
    exit_code = 2


class NoOfferError(NodeError):
    """No seller made a usable offer and this node cannot do the work itself."""

    code = "no_offer"
    exit_code = 4


class RefusedError(NodeError):
    """A spending cap, exposure cap or privacy rule forbids it."""

    code = "refused"
    exit_code = 5


class DeadlineError(NodeError):
    """The deadline passed before an acceptable result was there."""

    code = "timed_out"
    exit_code = 6


class VerificationError(NodeError):
    """Work came back, and none of it passed verification."""

    code = "verification_failed"
    exit_code = 7


def exit_code_of(code: str) -> int:
    """The exit code for the `code` of a NodeError that was stored; 1 for one that no class has (any more)."""
    if code == CANCELLED:
        return CANCELLED_EXIT_CODE
    return next((kind.exit_code for kind in _kinds(NodeError) if kind.code == code), NodeError.exit_code)


def _kinds(kind: type[NodeError]) -> Iterator[type[NodeError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)
