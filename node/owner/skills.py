"""The owner's view of the skills of this node: what each takes, an example, and what that costs."""

from node.daemon import Parts
from node.errors import NodeError
from node.execute.skill import Skill
from node.market.pricing import Load
from node.tasks.content import Content
from node.tasks.spec import Wishes, specify
from node.tasks.verify import FULL_SCORE_PPM
from node.views import SkillRow, SkillsView

WISHES = Wishes(budget_micro=0, deadline_s=3600.0)
"""A price list is asked for without a budget; the deadline only has to be one."""


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
        sold=sold,
        price_hint_micro=parts.shop.price_hint_micro(skill.label) if sold else None,
        seconds_per_unit=parts.work.seconds_per_unit(skill.label),
        source=_source(skill),
        unit=skill.unit,
        example=skill.example.decode(errors="replace"),
        example_units=units,
        example_s=parts.work.predict(skill.label, "full", units).expected_s,
        example_price_micro=_price_micro(parts, skill, example, units) if sold else None,
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


def _price_micro(parts: Parts, skill: Skill, example: Content, units: int) -> int:
    """What this node would ask for the example while it has nothing else to do."""
    specification = specify((skill.label,), example, units, WISHES, usual_score_ppm=FULL_SCORE_PPM)
    idle = Load(demand=0, slots=parts.executor.lane(skill.label).slots)
    return parts.shop.price_micro(specification, idle, parts.work.option(skill.label, "full", units))
