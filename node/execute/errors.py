"""What goes wrong when a task is executed. All are NodeErrors, so each carries its exit code.

UsageError
├── InputError              the input is not what the skill takes
└── UnknownSkillError       no such skill here
NodeError
├── BusyError               every worker is taken and the queue is full
└── ExecutionError          the skill failed or its process died; holds the tail of its stderr
    ├── MemoryLimitError    it went over its memory limit
    ├── FormatError         a model's endpoint cannot see to the form that was asked for
    └── OutOfOrderError     what does the work elsewhere does none at the moment
DeadlineError
└── TimeLimitError          it went over its time limit and was killed
"""

from node.errors import DeadlineError, NodeError, UsageError


class InputError(UsageError):
    """The input is not what the skill takes; the text says what is expected, with a small example."""

    code = "bad_input"


class UnknownSkillError(UsageError):
    """This node cannot execute that label."""

    code = "unknown_skill"


class BusyError(NodeError):
    """Every worker is taken and the queue is full; try again later."""

    code = "busy"


class ExecutionError(NodeError):
    """The skill raised, or its process died. `stderr_tail` is for the seller's own eyes, never for logs."""

    def __init__(self, text: str, stderr_tail: str = "") -> None:
        super().__init__(text)
        self.stderr_tail = stderr_tail


class MemoryLimitError(ExecutionError):
    """The work needed more memory than it may use."""

    code = "memory_limit"


class FormatError(ExecutionError):
    """A model's endpoint knows no `response_format`, or not this one: ask without it, and look for yourself."""


class OutOfOrderError(ExecutionError):
    """What does the work elsewhere does none at the moment, whatever it is asked."""


class TimeLimitError(DeadlineError):
    """The work did not end within its time limit, and its process was killed."""
