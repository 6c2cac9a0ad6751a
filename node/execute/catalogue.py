"""The builtin skills of a node, and the package that each one's work and check live in."""

from typing import Final

from node.execute.builtin.document_analysis import task as document_analysis
from node.execute.builtin.portfolio import task as portfolio
from node.execute.builtin.risk import task as risk
from node.execute.builtin.sentiment import task as sentiment
from node.execute.skill import Skill

SKILLS: Final[tuple[Skill, ...]] = (document_analysis.SKILL, portfolio.SKILL, risk.SKILL, sentiment.SKILL)
PACKAGES: Final[dict[str, str]] = {
    skill.label: f"node.execute.builtin.{skill.label.replace('-', '_')}" for skill in SKILLS
}
"""Package by label; a worker imports its `work`, `check` or `task` module."""
