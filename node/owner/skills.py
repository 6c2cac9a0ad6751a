"""The owner's view of the skills of this node: what each takes, an example, and what that costs."""

from dataclasses import dataclass

from node.daemon import Parts
from node.errors import NodeError
from node.execute.skill import Skill
from node.market.pricing import Load
from node.outsource.client.request import files_of
from node.outsource.contractor.admission import wait_and_run_s
from node.tasks.content import Content, assemble
from node.tasks.spec import Wishes, specify
from node.tasks.verify import FULL_SCORE_PPM
from node.views import AskRequest, SkillRow, SkillsView

WISHES = Wishes(budget_micro=0, deadline_s=3600.0)
"""A price list is asked for without a budget; the deadline only has to be one."""


MAX_INPUT_BYTES = 2**31
"""Of a task that is only priced; whoever takes it in has a limit of its own."""


@dataclass(frozen=True, slots=True)
class Price:
    """What this node would ask for a task now, and how long it would take it, waiting included."""

    price_micro: int
    expected_s: float
    p95_s: float


async def price_of(parts: Parts, request: AskRequest) -> Price:
    """The price of a task for somebody who is no node. NodeError when it cannot be done here, or not in that form."""
    content = parts.work.as_taken(request.skill, assemble(request.text, files_of(request), MAX_INPUT_BYTES))
    skill = parts.work.skill(request.skill)
    if skill is None or not parts.shop.sells(request.skill):
        raise NodeError(f"{request.skill} is not on sale here")
    units = await parts.work.units(skill.label, content)
    if not (option := parts.work.option(skill.label, "full", units)).feasible:
        raise NodeError(option.why_not)
    load = parts.shop.load(skill.label)
    prediction = parts.work.predict(skill.label, "full", units)
    return Price(
        _price_micro(parts, skill, content, units, load),
        wait_and_run_s(load, prediction.expected_s),
        wait_and_run_s(load, prediction.p95_s),
    )


async def skills_view(parts: Parts) -> SkillsView:
    """Everything that this node can do itself, by label."""
    rows = [await _row(parts, skill) for skill in parts.executor.skills]
    return SkillsView(skills=tuple(sorted(rows, key=lambda row: row.label)))


async def _row(parts: Parts, skill: Skill) -> SkillRow:
    sold = parts.shop.sells(skill.label)
    example = Content(skill.example_media_type, skill.example)
    units = await _units(parts, skill, example)
    return SkillRow(
        label=skill.label,
        caption=skill.caption,
        description=skill.description,
        efforts=skill.efforts,
        input_media_types=skill.input_media_types,
        output_media_type=skill.output_media_type,
        levels=("none", *skill.verification),
        checks=skill.checkable,
        sold=sold,
        price_hint_micro=parts.shop.price_hint_micro(skill.label) if sold else None,
        seconds_per_unit=parts.work.seconds_per_unit(skill.label),
        source=_source(skill),
        unit=skill.unit,
        example=skill.example.decode(errors="replace"),
        example_units=units,
        example_s=parts.work.predict(skill.label, "full", units).expected_s,
        example_price_micro=_price_micro(parts, skill, example, units, _idle(parts, skill)) if sold else None,
    )


def _source(skill: Skill) -> str:
    if skill.is_builtin:
        return "builtin"
    return "sold function" if skill.slots is None else "done elsewhere"


async def _units(parts: Parts, skill: Skill, example: Content) -> int:
    try:
        return await parts.work.units(skill.label, example)
    except NodeError:  # a function of the owner's, whose example is only made up from its hints
        return skill.units_of_length(len(example.data))


def _idle(parts: Parts, skill: Skill) -> Load:
    """As if this node had nothing else to do."""
    return Load(demand=0, slots=parts.executor.lane(skill.label).slots)


def _price_micro(parts: Parts, skill: Skill, content: Content, units: int, load: Load) -> int:
    """What this node would ask for a task while it is so busy."""
    specification = specify((skill.label,), content, units, WISHES, usual_score_ppm=FULL_SCORE_PPM)
    return parts.shop.price_micro(specification, load, parts.work.option(skill.label, "full", units))
