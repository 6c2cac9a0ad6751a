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
"""

import json
from base64 import b64encode
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from node.errors import UsageError
from node.tasks.content import Content, File
from protocol.fields import Label

StepName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
MAX_STEPS = 256


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One node of the graph: a subtask for `skill`, or a merge."""

    name: StepName
    skill: Label | None = None
    merge: bool = False
    text: Annotated[str, Meta(max_length=1_000_000)] = ""
    files: Annotated[tuple[str, ...], Meta(max_length=256)] = ()
    needs: Annotated[tuple[StepName, ...], Meta(max_length=MAX_STEPS)] = ()


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
        raise UsageError(f"the plan is not valid: {error}") from error
    _check_steps(plan, frozenset(files))
    order(plan)
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


def _check_steps(plan: Plan, files: frozenset[str]) -> None:
    names = [step.name for step in plan.step]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"the plan has two steps named {doubled[0]!r}: every step needs its own name")
    for step in plan.step:
        if step.merge == (step.skill is not None):
            raise UsageError(f"step {step.name!r} must have either a skill or merge = true")
        if unknown := [need for need in step.needs if need not in names]:
            raise UsageError(f"step {step.name!r} needs {unknown[0]!r}, which is not a step; there are: {names}")
        if missing := [name for name in step.files if name not in files]:
            raise UsageError(f"step {step.name!r} reads {missing[0]!r}, which was not handed over with the plan")
        if step.merge and not step.needs:
            raise UsageError(f"step {step.name!r} merges nothing: list the steps it needs")


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


def merge(results: tuple[tuple[str, Content], ...]) -> Content:
    """One JSON result out of several, each part under the name of the step it came from."""
    parts = [{"source": name, "media_type": content.media_type, **_body(content)} for name, content in results]
    return Content("application/json", json.dumps({"parts": parts}, ensure_ascii=False).encode())


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
