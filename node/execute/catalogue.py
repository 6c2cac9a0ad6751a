"""The builtin skills of a node, and the package that each one's work and check live in."""

from typing import Final

from node.execute.builtin.risk import task as risk
from node.execute.skill import Skill

SKILLS: Final[tuple[Skill, ...]] = (risk.SKILL,)
MODULES: Final[dict[str, str]] = {risk.SKILL.label: risk.__package__}
"""Package by label; a worker imports its `work`, `check` or `task` module."""
