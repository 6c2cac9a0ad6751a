"""A deterministic planner: what the tests' endpoint answers where a plan is asked for, computed from what it is told.

Each file goes to the skill whose description has most words in common with the goal, then all parts are merged. It
reads nothing but the structured part of the request, as a model that ignores everything else would.
"""

import json
import re
from enum import Enum
from typing import Any

OPENING = "You divide a goal into a plan"


class Slip(Enum):
    """What is wrong with one draft."""

    NO_JSON = "no json"
    CYCLE = "cycle"
    UNKNOWN_SKILL = "unknown skill"
    DANGLING = "dangling"
    TOO_MANY = "too many"
    OVER_BUDGET = "over budget"
    SKIPS_A_FILE = "skips a file"
    WRONG_TYPES = "wrong types"
    REFUSES = "refuses"
    TALKS_AROUND = "talks around"
    """Not wrong: the plan is there, with words and a fence around it."""


def is_asked(asked: dict[str, Any]) -> bool:
    """Whether a request is for a plan."""
    return str(asked["messages"][0]["content"]).startswith(OPENING)


def drafted(asked: dict[str, Any], slip: Slip | None) -> str:
    """The reply to such a request."""
    told = json.loads(next(one["content"] for one in asked["messages"] if one["role"] == "user"))
    steps = _steps(told)
    match slip:
        case Slip.NO_JSON:
            return json.dumps({"step": steps})[:-9]
        case Slip.REFUSES:
            return "I cannot help with that."
        case Slip.TALKS_AROUND:
            return f"Here is {{the}} plan:\n```json\n{json.dumps({'step': steps}, indent=1)}\n```\nGood luck!"
        case Slip.CYCLE:
            steps[0]["needs"] = [steps[-1]["name"]]
        case Slip.UNKNOWN_SKILL:
            steps[0]["skill"] = "mind-reading"
        case Slip.DANGLING:
            steps[0]["needs"] = ["nowhere"]
        case Slip.TOO_MANY:
            steps += [{**steps[0], "name": f"more-{number}"} for number in range(told["most_steps"])]
        case Slip.OVER_BUDGET:
            steps[0]["budget_usd"] = "999"
        case Slip.SKIPS_A_FILE:
            del steps[0]
            steps[-1]["needs"].pop(0)
        case Slip.WRONG_TYPES:
            steps[0]["retries"] = "often"
        case None:
            pass
    return json.dumps({"step": steps})


def _steps(told: dict[str, Any]) -> list[dict[str, Any]]:
    label = max(told["skills"], key=lambda skill: (_likeness(told["goal"], skill), skill["label"]))["label"]
    parts = [
        _step(f"part-{number}", skill=label, text=told["text"], files=[file["name"]])
        for number, file in enumerate(told["files"], 1)
    ] or [_step("part-1", skill=label, text=told["text"] or told["goal"])]
    return [*parts, _step("all", merge=True, needs=[part["name"] for part in parts])]


def _step(name: str, **fields: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"skill": None, "merge": False, "text": "", "files": [], "needs": [], "budget_usd": None}
    return {"name": name, **empty, "verify": None, "optional": False, **fields}


def _likeness(goal: str, skill: dict[str, Any]) -> int:
    words = {word[:5] for word in re.findall(r"[a-z]{4,}", goal.lower())}
    told = f"{skill['label']} {skill.get('description', '')}".lower()
    return len(words & {word[:5] for word in re.findall(r"[a-z]{4,}", told)})
