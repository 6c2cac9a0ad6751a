"""What goes wrong inside a node, as types. Each carries the exit code that the command line gives it.

NodeError                   failed                          exit 1
├── UsageError              the request itself is wrong     exit 2
├── NoOfferError            nobody sells it, nor can we     exit 4
├── RefusedError            policy or budget forbids it     exit 5
├── DeadlineError           it took too long                exit 6
└── VerificationError       every result failed its check   exit 7

Expected outcomes (no offer from one peer, a LOCAL decision, one peer's time-out) are values, not errors.
"""

from typing import ClassVar


class NodeError(Exception):
    """Root of the node's errors: the text says what, which value, against which limit, what to do."""

    code: str = "failed"
    exit_code: ClassVar[int] = 1


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
