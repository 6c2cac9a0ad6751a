"""From a goal to a plan: by this node's own model where one is named, else by rule; and the record of how.

The model is never hired: whoever writes the plan decides what is bought. It is asked at most twice, the second time
with what was wrong with its first answer, and takes no more than a quarter of the plan's budget and time; what it cost
is gone from the plan's budget. Whatever goes wrong with it ends in the rule, and the record says why.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import msgspec
import structlog

from node.decision.tokens import FRAME_TOKENS, MILLION, Tariff, Usage, charge_micro
from node.errors import NodeError, UsageError
from node.execute.errors import FormatError, InputError
from node.execute.openai.form import WishedForm
from node.execute.skill import JSON, TEXT, Skill
from node.outsource.localwork import LocalWork
from node.outsource.taskview import planned
from node.skills.labels import is_label
from node.tasks.content import Content, File, assemble
from node.tasks.drafting import Brief, DraftError, FileLine, SkillLine, checked, conversation, repair, response_format
from node.tasks.plan import Plan, parse_plan, per_document
from node.views.plans import DraftRow, PlanView

log = structlog.get_logger()

SHARE: Final = 0.25
"""Of the plan's budget and of its time: the steps need the rest."""
DRAFTS: Final = 2
"""One attempt, and one repair."""
MOST_WRITTEN: Final = 8_192
"""Tokens of a draft: its most steps with a hundred tokens each."""
LEAST_WRITTEN: Final = 256
"""Below that no plan of more than a few steps can be said."""
LEAST_TIME_S: Final = 0.2

FindLabel = Callable[[str], Awaitable[tuple[str, str]]]
"""The label of the skill that words mean, and how they were understood; UsageError when nothing fits."""
Report = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a plan is to be made for. `words` are the goal, or a skill's label; `skills` are others' labels."""

    words: str
    text: str = ""
    files: tuple[File, ...] = ()
    skills: tuple[str, ...] = ()
    budget_micro: int
    deadline_s: float
    is_secret: bool = False
    """It leaves this machine for nobody, not for an endpoint that charges either."""
    max_input_bytes: int


class _NoDraftError(Exception):
    """Why the model was not asked, or its answers were no plan."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one call may take, and the most that it can come to."""

    max_tokens: int
    timeout_s: float
    most_micro: float


class _Answer(msgspec.Struct):
    """What a chat in JSON gives (node/execute/openai/reply.py)."""

    content: str
    finish_reason: str = ""


class Planner:
    """Makes plans with what this node itself can run. `model`: the label of the model that drafts; "" for none."""

    def __init__(self, work: LocalWork, model: str) -> None:
        self._work = work
        self._model = model
        self._form = WishedForm()

    async def plan(
        self, goal: Goal, by: Literal["auto", "model", "rule"], *, find_label: FindLabel, report: Report
    ) -> PlanView:
        """The plan for a goal, with its record; UsageError when neither the model nor the rule can make one."""
        rows: list[DraftRow] = []
        why = "as asked" if by == "rule" else "no model makes plans here"
        if by != "rule" and self._model:
            try:
                plan = await self._draft(goal, rows, report)
            except _NoDraftError as error:
                why = str(error)
                log.info("plan.not_drafted", model=self._model, drafts=len(rows), why=why)
            else:
                is_repaired = len(rows) > 1
                said = f"the first draft was refused: {rows[0].text}" if is_repaired else ""
                return self._told(plan, "repaired" if is_repaired else "model", said, rows)
        try:
            plan, reading = await self._by_rule(goal, find_label)
        except UsageError as error:
            said = f"no plan by rule: {error}; nor by a model: {why}. Say which skill is to be used (--skill LABEL)"
            raise UsageError(said) from error
        return self._told(plan, "rule", "; ".join(filter(None, (why, reading))), rows)

    def _told(
        self, plan: Plan, made_by: Literal["model", "repaired", "rule"], why: str, rows: list[DraftRow]
    ) -> PlanView:
        return PlanView(
            made_by=made_by,
            why=why,
            model=self._model if rows else "",
            drafts=tuple(rows),
            cost_micro=sum(row.cost_micro for row in rows),
            spent_s=round(sum(row.spent_s for row in rows), 3),
            step=planned(plan),
        )

    # --- by model

    async def _draft(self, goal: Goal, rows: list[DraftRow], report: Report) -> Plan:
        """The model's plan, of the first or the second attempt."""
        try:
            skill, tariff = drafter(self._work, self._model)
        except UsageError as error:
            raise _NoDraftError(str(error)) from error
        if goal.is_secret and (tariff.cost is not None or skill.sent_to):
            raise _NoDraftError(f"the goal is secret, and {self._model} runs elsewhere")
        ends_s = asyncio.get_running_loop().time() + SHARE * goal.deadline_s
        brief = self._brief(goal)
        messages = conversation(brief)
        ask = partial(self._asked, tariff, goal, rows, ends_s)
        for number in range(DRAFTS):
            await report(f"{self._model} {'drafts a plan' if number == 0 else 'repairs its draft'}")
            request = {"messages": messages, "response_format": response_format(brief)}
            answer, call = await self._form.asked(request, ask)
            # The steps may spend what is left after this call, which is known only now.
            left_micro = goal.budget_micro - call.cost_micro - sum(row.cost_micro for row in rows)
            brief = msgspec.structs.replace(brief, budget_micro=max(0, left_micro))
            try:
                if answer.finish_reason == "length":
                    raise DraftError("it broke off at its longest: say the plan in fewer and shorter steps")
                plan = checked(answer.content, brief)
            except DraftError as error:
                rows.append(msgspec.structs.replace(call, outcome="refused", text=str(error)))
                messages = [*messages, *repair(answer.content, error)]
            else:
                rows.append(call)
                return plan
        raise _NoDraftError(f"neither draft of {self._model} was a plan: {rows[-1].text}")

    async def _asked(
        self, tariff: Tariff, goal: Goal, rows: list[DraftRow], ends_s: float, request: dict[str, Any]
    ) -> tuple[_Answer, DraftRow]:
        """The model's answer and what it took; _NoDraftError, and a row for what it may have cost, where none comes.

        FormatError where the endpoint takes no such form; that costs nothing.
        """
        loop = asyncio.get_running_loop()
        left_micro = SHARE * goal.budget_micro - sum(row.cost_micro for row in rows)
        second_micro, request_bytes = self._time_micro(1.0), len(msgspec.json.encode(request))
        left_s = ends_s - loop.time()
        allowed = allowance(tariff, second_micro, request_bytes=request_bytes, left_micro=left_micro, left_s=left_s)
        if allowed is None:
            raise _NoDraftError(f"a draft of {self._model} may take more than a quarter of the plan's budget or time")
        content = Content(JSON, msgspec.json.encode({**request, "max_tokens": allowed.max_tokens}))
        began_s = loop.time()
        try:
            execution = await self._work.run(self._model, content, "full", timeout_s=allowed.timeout_s)
        except FormatError:
            raise
        except NodeError as error:
            spent_s = loop.time() - began_s
            cost = self._time_micro(spent_s) if tariff.cost is None else allowed.most_micro
            rows.append(
                DraftRow(outcome="failed", text=str(error), cost_micro=math.ceil(cost), spent_s=round(spent_s, 3))
            )
            raise _NoDraftError(f"{self._model} gave no answer: {error}") from error
        cost = self._work.cost_micro(self._model, execution, await self._work.units(self._model, content))
        row = DraftRow(outcome="a plan", cost_micro=math.ceil(cost), spent_s=round(loop.time() - began_s, 3))
        answered = msgspec.json.decode(execution.output, type=_Answer)
        return answered, row

    def _time_micro(self, seconds: float) -> float:
        return self._work.spent_micro(seconds, slots=self._work.executor.lane(self._model).slots)

    def _brief(self, goal: Goal) -> Brief:
        own = {skill.label: _line(skill) for skill in self._work.executor.skills}
        others = (SkillLine(label=label) for label in goal.skills if label not in own)
        return Brief(
            goal=goal.words,
            text=goal.text,
            skills=(*own.values(), *others),
            files=tuple(FileLine(file.name, file.media_type, len(file.data)) for file in goal.files),
            budget_micro=goal.budget_micro,
            deadline_s=(1 - SHARE) * goal.deadline_s,
        )

    # --- by rule

    async def _by_rule(self, goal: Goal, find_label: FindLabel) -> tuple[Plan, str]:
        """One subtask a document, then merged; one for a single input. The second value: how words were read."""
        label, reading = goal.words, ""
        if goal.skills:
            label = goal.skills[0]
        elif not is_label(label):
            label, reading = await find_label(goal.words)
        text = goal.text
        if not text and label != goal.words and not await self._takes(label, goal):
            text = goal.words
        if len(goal.files) > 1:
            return per_document(label, text, goal.files), reading
        names = tuple(file.name for file in goal.files)
        return parse_plan({"step": [{"name": "only", "skill": label, "text": text, "files": names}]}, names), reading

    async def _takes(self, label: str, goal: Goal) -> bool:
        """Whether the skill takes a document by itself, without words; unknown ones are believed to."""
        if not goal.files:
            return False
        try:
            await self._work.units(label, assemble("", goal.files[:1], goal.max_input_bytes))
        except InputError:
            return False
        return True


def drafter(work: LocalWork, model: str) -> tuple[Skill, Tariff]:
    """The model that drafts plans, and how its tokens are charged; UsageError where this node has no such model."""
    skill = work.skill(model)
    if skill is None or skill.tariff is None or not skill.tariff.max_written:
        raise UsageError(f"{model} is no model that this node has: `coalesced sell ls` lists those on sale")
    return skill, skill.tariff


def allowance(
    tariff: Tariff, second_micro: float, *, request_bytes: int, left_micro: float, left_s: float
) -> Allowance | None:
    """What a call may take so that it keeps within `left_micro`, whatever is written; None when that is too little.

    A token is at least a byte. `second_micro` is what a second costs of a model on this machine.
    """
    written, timeout_s = min(tariff.max_written, MOST_WRITTEN), left_s
    if tariff.cost is None:
        if second_micro > 0:
            timeout_s = min(left_s, left_micro / second_micro)
        most_micro = second_micro * max(0.0, timeout_s)
    else:
        read = request_bytes + FRAME_TOKENS
        for_writing = left_micro - charge_micro(tariff.cost, Usage(read, 0))
        if tariff.cost.written_micro:
            written = min(written, math.floor(for_writing * MILLION / tariff.cost.written_micro))
        most_micro = charge_micro(tariff.cost, Usage(read, max(0, written)))
    if written < LEAST_WRITTEN or timeout_s < LEAST_TIME_S or most_micro > left_micro * (1 + 1e-9):
        return None
    return Allowance(written, timeout_s, most_micro)


def _line(skill: Skill) -> SkillLine:
    example = skill.example.decode(errors="replace") if skill.example_media_type in (TEXT, JSON) else ""
    return SkillLine(
        label=skill.label,
        description=f"{skill.caption}. {skill.description}".strip(". "),
        takes=skill.input_media_types,
        gives=skill.output_media_type,
        example=example,
    )
