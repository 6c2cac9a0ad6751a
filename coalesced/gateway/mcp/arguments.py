"""What each tool takes: the structs that the tools' input schemas are made from, and that calls are checked against."""

from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from coalesced.cli.units import MICRO, parse_money
from coalesced.control import shapes
from coalesced.control.errors import ControlError
from coalesced.control.inputs import media_type_of
from node.views import Preference
from protocol.specification import Effort

T = TypeVar("T")
MAX_QUOTED_CHARS = 300

Dollars = Annotated[float, Meta(ge=0, le=1_000_000)]
VerifyWord = Literal[
    "none", "cheap", "full", "redundant", "citations", "recompute", "judge", "redundant:2", "redundant:3"
]
TaskId = Annotated[str, Meta(min_length=4, max_length=64, description="As `ask` gave it.")]


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of a task's input. Its text travels: no tool reads a file by its name."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    text: Annotated[str, Meta(max_length=8_000_000)]


class Work(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of work, and the limits it is done within; what is left out is the node's configuration."""

    skill: Annotated[
        str,
        Meta(min_length=1, max_length=1000, description="The skill's label, or what is to be done in plain words."),
    ]
    text: Annotated[str, Meta(max_length=8_000_000, description="The input.")] = ""
    documents: Annotated[tuple[Document, ...], Meta(max_length=256, description="More input, as named texts.")] = ()
    budget_usd: Annotated[Dollars, Meta(description="Spend at most this.")] | None = None
    deadline_s: (
        Annotated[float, Meta(gt=0, le=30 * 86_400, description="Give the task up after so many seconds.")] | None
    ) = None
    prefer: Annotated[Preference, Meta(description="`local` never hires anybody.")] = "auto"
    private: Annotated[bool, Meta(description="Never let the input leave this machine.")] = False
    effort: Effort | None = None
    verify: (
        Annotated[
            VerifyWord | Annotated[tuple[VerifyWord, ...], Meta(max_length=8)],
            Meta(description="How the result is checked at least: a level, single checks, or both."),
        ]
        | None
    ) = None
    result_schema: Annotated[dict[str, Any], Meta(description="JSON Schema that the result must fit.")] | None = None


class Ask(Work, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of work to be done."""

    split: Annotated[bool, Meta(description="One subtask a document, then merged.")] = False


class Find(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A search for skills."""

    what: Annotated[
        str, Meta(min_length=1, max_length=1000, description="A label, or what is to be done in plain words.")
    ]
    max_price_usd: Annotated[Dollars, Meta(description="Only sellers who advertise at most this.")] | None = None
    min_trust: Annotated[float, Meta(ge=0, le=1, description="Only sellers this likely to do good work.")] = 0.0


class Status(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question about one task."""

    task_id: TaskId
    from_char: Annotated[int, Meta(ge=0, description="Show the result from this character on.")] = 0


class Cancel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A task to be given up."""

    task_id: TaskId


class Reply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to a task's question."""

    task_id: TaskId
    text: Annotated[str, Meta(min_length=1, max_length=100_000)]


def parse(given: dict[str, Any] | None, kind: type[T]) -> T:
    """A call's arguments; ControlError (`usage`) says what is wrong with them."""
    try:
        return msgspec.convert(given or {}, kind)
    except msgspec.ValidationError as error:
        # The decoder quotes a wrong value whole, however long it is.
        raise ControlError("usage", str(error)[:MAX_QUOTED_CHARS], 2) from error


def request_of(work: Work, *, max_budget_micro: int | None) -> shapes.AskRequest:
    """The work as the daemon is asked for it; ControlError (`refused`) above the most that one task may cost."""
    budget = micro_usd(work.budget_usd)
    if max_budget_micro is not None:
        if budget is not None and budget > max_budget_micro:
            most = Decimal(max_budget_micro) / MICRO
            raise ControlError("refused", f"budget_usd {work.budget_usd} is above --max-budget {most}", 5)
        budget = max_budget_micro if budget is None else budget
    files = [
        shapes.InputFile(name=one.name, media_type=media_type_of(one.name, one.text.encode()), data=one.text.encode())
        for one in work.documents
    ]
    return {
        "skill": work.skill,
        "text": work.text,
        "files": files,
        "budget_micro": budget,
        "deadline_s": work.deadline_s,
        "prefer": work.prefer,
        "privacy": "secret" if work.private else None,
        "effort": work.effort,
        "verify": [work.verify] if isinstance(work.verify, str) else list(work.verify or ()),
        "result_schema": "" if work.result_schema is None else msgspec.json.encode(work.result_schema).decode(),
        "split": isinstance(work, Ask) and work.split,
    }


def micro_usd(amount: float | None) -> int | None:
    """Dollars as micro-dollars; ControlError when they are finer. Through text: 0.1 means a tenth."""
    try:
        return None if amount is None else parse_money(str(amount))
    except ValueError as error:
        raise ControlError("usage", str(error), 2) from error
