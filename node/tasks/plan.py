"""A plan: one task as a directed acyclic graph of subtasks, each decided by itself.

A plan comes from a file (JSON or TOML, the same shape):

    [[step]]
    name = "q1"
    skill = "document-analysis"
    text = "What are the risks?"
    files = ["q1.txt"]

    [[step]]
    name = "all"
    merge = true
    needs = ["q1", "q2"]

or from the rule "one subtask per document, then merge". A step's needs become files of its input, named by
step. A merge step is no work: it puts the results of its needs together, each with its source.

A step may say more: `budget_usd = "0.01"` (what it may spend, of the plan's), `verify = "full"` or
`verify = ["cheap", "citations"]` (at least), `result_schema`, `retries = 2`, `optional = true` (its failure ends what
needs it, not the plan).
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from node.errors import UsageError
from node.tasks.content import Content, File
from protocol.fields import Label
from protocol.specification import LEVELS, Level

StepName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Word = Annotated[str, Meta(max_length=32)]
MAX_STEPS = 256
FORMS = {
    "budget_usd": 'write dollars as a text, budget_usd = "0.01"',
    "skill": "write its label, 1 to 64 of a-z, 0-9, '.', '_', '/' and '-'",
    "name": "write 1 to 64 letters, digits, '.', '_' and '-'",
}
"""How a field is to be written, for those whose form is not plain from what is wrong with them."""


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One node of the graph: a subtask for `skill`, or a merge."""

    name: StepName
    skill: Label | None = None
    merge: bool = False
    text: Annotated[str, Meta(max_length=1_000_000)] = ""
    files: Annotated[tuple[str, ...], Meta(max_length=256)] = ()
    needs: Annotated[tuple[StepName, ...], Meta(max_length=MAX_STEPS)] = ()
    budget_usd: Annotated[str, Meta(pattern=r"\A[0-9]{1,9}(\.[0-9]{1,6})?\Z")] | None = None
    verify: Word | Annotated[tuple[Word, ...], Meta(max_length=8)] | None = None
    """A level, or single checks: the words of `ask --verify`. What they say is looked at when the plan is taken on."""
    result_schema: dict[str, Any] | None = None
    """JSON Schema that its result must fit."""
    retries: Annotated[int, Meta(ge=0, le=5)] = 1
    optional: bool = False

    @property
    def budget_micro(self) -> int | None:
        """What it may spend, where that is said."""
        return None if self.budget_usd is None else int(Decimal(self.budget_usd) * 1_000_000)

    @property
    def least_level(self) -> Level:
        """The level that `verify` names; the lowest where it names none."""
        return next((level for level in reversed(LEVELS) if level in self._words), "none")

    @property
    def checks(self) -> tuple[str, ...]:
        """The words of `verify` that are no level."""
        return tuple(word for word in self._words if word not in LEVELS)

    @property
    def _words(self) -> tuple[str, ...]:
        return (self.verify,) if isinstance(self.verify, str) else self.verify or ()


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The steps, in any order. Build through `parse_plan` or `per_document`: both check the graph."""

    step: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=MAX_STEPS)]

    @property
    def paid_steps(self) -> int:
        """How many steps are work that may cost something."""
        return sum(not step.merge for step in self.step)


def parse_plan(plain: object, files: Iterable[str]) -> Plan:
    """A checked plan from decoded JSON or TOML; `files` are the names that steps may refer to."""
    try:
        plan = msgspec.convert(plain, Plan)
    except msgspec.ValidationError as error:
        field = re.search(r"\.(\w+)`$", str(error))
        form = FORMS.get(field[1], "") if field else ""
        raise UsageError(f"the plan is not valid: {error}{form and f': {form}'}") from error
    for problem in problems(plan, frozenset(files)):
        raise UsageError(problem)
    return plan


def per_document(skill: str, text: str, files: tuple[File, ...]) -> Plan:
    """The rule: `skill` with `text` on each file by itself, then one merge."""
    if len(files) < 2:
        raise UsageError(f"splitting needs at least two documents, and there are {len(files)}: add -f FILE")
    names = tuple(f"part-{number}" for number, _ in enumerate(files, 1))
    parts = tuple(
        Step(name=name, skill=skill, text=text, files=(file.name,)) for name, file in zip(names, files, strict=True)
    )
    merge = Step(name="merge", merge=True, needs=names)
    return parse_plan(msgspec.to_builtins(Plan(step=(*parts, merge))), (file.name for file in files))


def problems(plan: Plan, files: frozenset[str]) -> Iterator[str]:
    """All that is wrong with a graph whose fields are right, one sentence each; `files` are those handed over."""
    names = [step.name for step in plan.step]
    for doubled in sorted({name for name in names if names.count(name) > 1}):
        yield f"the plan has two steps named {doubled!r}: every step needs its own name"
    is_whole = True
    for step in plan.step:
        if step.merge == (step.skill is not None):
            yield f"step {step.name!r} must have either a skill or merge = true"
        for need in step.needs:
            if need not in names:
                is_whole = False
                yield f"step {step.name!r} needs {need!r}, which is not a step; there are: {names}"
        for name in step.files:
            if name not in files:
                yield f"step {step.name!r} reads {name!r}, which was not handed over with the plan"
        if step.merge and not step.needs:
            yield f"step {step.name!r} merges nothing: list the steps it needs"
        if not (step.merge or step.text or step.files or step.needs):
            yield f"step {step.name!r} has no input: give it a text, files, or steps it needs"
    if is_whole and len(set(names)) == len(names):
        try:
            order(plan)
        except UsageError as error:
            yield str(error)


def order(plan: Plan) -> tuple[tuple[Step, ...], ...]:
    """The steps in waves: each wave needs only earlier ones (Kahn 1962). UsageError names a cycle's steps."""
    waiting = {step.name: step for step in plan.step}
    waves: list[tuple[Step, ...]] = []
    done: set[str] = set()
    while waiting:
        wave = tuple(step for step in waiting.values() if done.issuperset(step.needs))
        if not wave:
            raise UsageError(f"the plan runs in a circle: {', '.join(sorted(waiting))} wait for each other")
        waves.append(wave)
        done.update(step.name for step in wave)
        for step in wave:
            del waiting[step.name]
    return tuple(waves)


def chain_lengths(plan: Plan) -> dict[str, int]:
    """How many paid steps the longest way from each step to the end has, that step included; at least 1.

    A step that takes no more than the time left divided by this leaves as much to each that waits for it.
    """
    below: dict[str, list[Step]] = {step.name: [] for step in plan.step}
    for step in plan.step:
        for need in step.needs:
            below[need].append(step)
    lengths: dict[str, int] = {}
    for wave in reversed(order(plan)):
        for step in wave:
            after = max((lengths[one.name] for one in below[step.name]), default=0)
            lengths[step.name] = after + (not step.merge)
    return {name: max(1, length) for name, length in lengths.items()}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a result comes from, and how far it may be relied on."""

    by: str
    """`this node`, a peer's short id, or `merge`."""
    level: str = ""
    """How it was verified; empty for work of this node's own."""
    is_verified: bool = True
    success_ppm: int = 1_000_000
    """How likely it is good, with all that it rests on."""
    rests_on: tuple[str, ...] = ()
    """Steps above it whose results nobody verified."""
    skill: str = ""
    task: str = ""
    receipt: str = ""
    """What made it, the task that it was, and the receipt that both sides signed; empty where there is none."""
    cost_micro: int | None = None
    files: tuple[str, ...] = ()
    """Of those handed over, the ones that the step itself read."""


def resting_on(origin: Origin, needs: Mapping[str, Origin]) -> Origin:
    """The origin of a result, with what it inherits along the edges of the graph from what it was made of."""
    success_ppm = origin.success_ppm
    unverified: list[str] = []
    for name, above in needs.items():
        success_ppm = success_ppm * above.success_ppm // 1_000_000
        unverified += [*above.rests_on, *([] if above.is_verified else [name])]
    return replace(origin, success_ppm=success_ppm, rests_on=tuple(dict.fromkeys(unverified)))


@dataclass(frozen=True, slots=True)
class Part:
    """One result that goes into a merge; `content` None for a step that failed, `error` says how."""

    name: str
    content: Content | None
    origin: Origin
    error: str = ""


def merge(parts: Sequence[Part]) -> Content:
    """One JSON result out of several, each with the step it came from, who made it, and how it was verified."""
    return Content(
        "application/json", json.dumps({"parts": [_told(one) for one in parts]}, ensure_ascii=False).encode()
    )


def _told(part: Part) -> dict[str, object]:
    told: dict[str, object] = {"source": part.name}
    if part.content is None:
        return {**told, "error": part.error}
    origin = part.origin
    told |= {"media_type": part.content.media_type, "by": origin.by, "verification": origin.level or "own work"}
    told |= {name: value for name in ("skill", "task", "receipt") if (value := getattr(origin, name))}
    if origin.cost_micro is not None:
        told["cost_micro"] = origin.cost_micro
    told["p_good"] = origin.success_ppm / 1_000_000
    if origin.files:
        told["files"] = list(origin.files)
    if origin.rests_on:
        told["rests_on_unverified"] = list(origin.rests_on)
    return {**told, **_body(part.content)}


def _body(content: Content) -> dict[str, object]:
    if content.media_type == "application/json":
        try:
            return {"result": json.loads(content.data)}
        except ValueError:
            pass
    try:
        return {"result": content.data.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(content.data).decode()}
