"""Which checks make up a verification level, for work that a model did.

What a task asks for is checked at every level; `full` adds a judge where one is configured, `redundant` a second
answer. So a level is never a promise of more than is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.errors import UsageError
from node.tasks.checks import CheckName
from node.tasks.content import Content
from protocol.specification import LEVELS, Effort, Level

if TYPE_CHECKING:
    from node.verification.schema import Schema

MODEL_CHECKS: Final[tuple[CheckName, ...]] = ("schema", "citations", "recompute", "agreement", "judge")
"""What can be checked of what any model delivers, whoever sold it."""
IMPLIED: Final[dict[CheckName, Level]] = {
    "schema": "cheap",
    "citations": "cheap",
    "recompute": "cheap",
    "judge": "full",
    "agreement": "redundant",
}
"""The least level at which a check is made."""
WORDS: Final = f"{', '.join(LEVELS)}, schema, citations, recompute, redundant:2, redundant:3 or judge"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a task asks to be checked. `least_score_ppm`: what every graded check must reach; None = its own bound."""

    checks: tuple[CheckName, ...] = ()
    schema: "Schema | None" = None
    results: int = 2
    """Answers that a redundant check compares at most: the third is bought where the first two differ."""
    least_score_ppm: int | None = None

    @property
    def least_level(self) -> Level:
        """The least level that makes all of them."""
        return max((IMPLIED[check] for check in self.checks), key=LEVELS.index, default="none")


NOTHING: Final = Wanted()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is to be checked, and how."""

    skill: str
    work: Content
    effort: Effort
    wanted: Wanted
    min_score_ppm: int


def level_in(words: Sequence[str]) -> Level | None:
    """The level among `--verify` words, if one is; UsageError where two contradict each other."""
    named = [level for level in LEVELS if level in words]
    if len(named) > 1:
        raise UsageError(f"verify {named[0]} and verify {named[1]} contradict each other: leave one out")
    return named[0] if named else None


def wanted_of(words: Sequence[str], schema: str, least_score_ppm: int | None = None) -> Wanted:
    """What `--verify` words that are no level and a schema's text ask for; UsageError says what to write."""
    checks: list[CheckName] = []
    results = 2
    for word in words:
        match word.split(":", 1):
            case ["schema" | "citations" | "recompute" | "judge" as name]:
                checks.append(name)
            case ["redundant", count] if count in ("2", "3"):
                checks.append("agreement")
                results = int(count)
            case [name] if name in LEVELS:
                pass
            case _:
                raise UsageError(f"nothing can be verified by {word[:40]!r}: write {WORDS}")
    if schema and "schema" not in checks:
        checks.append("schema")
    if "schema" in checks and not schema:
        raise UsageError("verify schema needs the schema: write schema:FILE")
    return Wanted(tuple(dict.fromkeys(checks)), _read(schema) if schema else None, results, least_score_ppm)


def _read(schema: str) -> "Schema":
    from node.verification.schema import read_schema

    return read_schema(schema)


def bundle(level: Level, wanted: Wanted, *, has_judge: bool) -> tuple[CheckName, ...]:
    """The checks that a level makes; () where it makes none that the level below does not."""
    asked = tuple(check for check in wanted.checks if check != "agreement")
    match level:
        case "none":
            return ()
        case "cheap":
            return ("form", *asked)
        case "full":
            if not has_judge:
                return ()
            return ("form", *asked) if "judge" in asked else ("form", *asked, "judge")
        case "redundant":
            return ("form", *asked, "agreement")
