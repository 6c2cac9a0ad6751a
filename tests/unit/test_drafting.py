"""What a model is told to make a plan from, and which of its answers are plans."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.tasks.drafting import Brief, DraftError, FileLine, SkillLine, checked, conversation, repair, response_format
from node.tasks.plan import Plan, order
from tests.harness.draftsman import Slip, drafted

BRIEF = Brief(
    goal="What is the sentiment of each review?",
    skills=(
        SkillLine(label="sentiment", description="The sentiment of a text.", example="x" * 500),
        SkillLine(label="risk"),
    ),
    files=tuple(FileLine(f"{number}.txt", "text/plain", 100) for number in range(1, 4)),
    budget_micro=100_000,
    deadline_s=60.0,
)


def reply(slip: Slip | None = None, brief: Brief = BRIEF) -> str:
    return drafted({"messages": conversation(brief)}, slip)


def test_the_plan_that_a_model_answers_with_is_taken() -> None:
    plan = checked(reply(), BRIEF)
    assert [step.skill for step in plan.step] == ["sentiment"] * 3 + [None]
    assert checked(reply(Slip.TALKS_AROUND), BRIEF) == plan


@pytest.mark.parametrize(
    ("slip", "text"),
    [
        (Slip.NO_JSON, "not valid JSON"),
        (Slip.CYCLE, "circle"),
        (Slip.UNKNOWN_SKILL, "'mind-reading', which there is not; there are: ['sentiment', 'risk']"),
        (Slip.DANGLING, "needs 'nowhere', which is not a step"),
        (Slip.TOO_MANY, "over the limit of 64"),
        (Slip.OVER_BUDGET, "over the plan's $0.10"),
        (Slip.SKIPS_A_FILE, "no step reads the file '1.txt'"),
        (Slip.WRONG_TYPES, "does not match the schema"),
        (Slip.REFUSES, "not valid JSON"),
    ],
)
def test_what_is_no_plan_is_refused_with_words_that_the_model_is_told(slip: Slip, text: str) -> None:
    with pytest.raises(DraftError) as caught:
        checked(reply(slip), BRIEF)
    assert text in str(caught.value)
    [answered, asked] = repair(reply(slip), caught.value)
    assert (answered["role"], answered["content"]) == ("assistant", reply(slip))
    assert all(problem in asked["content"] for problem in caught.value.problems)


def test_all_that_is_wrong_is_told_at_once_and_no_more_than_can_be_read() -> None:
    steps: list[dict[str, Any]] = [
        {"name": f"s{number}", "skill": f"none-{number}", "text": "x"} for number in range(9)
    ]
    with pytest.raises(DraftError) as caught:
        checked(json.dumps({"step": steps}), BRIEF)
    assert len(caught.value.problems) == 8


def test_a_step_without_input_is_refused() -> None:
    with pytest.raises(DraftError, match="has no input"):
        checked(json.dumps({"step": [{"name": "a", "skill": "risk"}]}), BRIEF)


def test_the_model_is_told_nothing_but_the_goal_and_what_this_node_wrote() -> None:
    [rules, asked] = conversation(BRIEF)
    assert (rules["role"], asked["role"]) == ("system", "user")
    told = json.loads(asked["content"])
    assert set(told) == {"goal", "text", "skills", "files", "budget_usd", "deadline_s", "most_steps"}
    assert (told["budget_usd"], told["skills"][1]) == ("0.1", {"label": "risk"})
    assert "example" not in told["skills"][0], "a long one costs more than it helps"


def test_the_schema_of_the_reply_names_the_skills_and_files_and_every_field_that_a_step_may_have() -> None:
    form = response_format(BRIEF)["json_schema"]
    step = form["schema"]["properties"]["step"]["items"]
    assert step["properties"]["skill"]["enum"] == ["sentiment", "risk", None]
    assert step["properties"]["files"]["items"]["enum"] == ["1.txt", "2.txt", "3.txt"]
    assert set(step["required"]) == set(step["properties"])
    known = {field.name for field in msgspec.structs.fields(Plan(step=checked(reply(), BRIEF).step).step[0])}
    assert set(step["properties"]) <= known


@given(st.text(max_size=200) | st.text(alphabet='{}[]",:step ', max_size=200))
def test_any_reply_is_a_plan_or_refused(text: str) -> None:
    try:
        plan = checked(text, BRIEF)
    except DraftError:
        return
    assert order(plan)


def test_a_reply_of_nothing_but_braces_takes_no_time() -> None:
    with pytest.raises(DraftError):
        checked('{"a":' * 100_000, BRIEF)
