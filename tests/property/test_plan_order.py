"""The order of a plan's steps, for any graph; and that any text at all gives a plan or one clear refusal."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import UsageError
from node.tasks.content import Content, File
from node.tasks.plan import Origin, Part, Plan, Step, merge, order, parse_plan, per_document

NAMES = [f"s{number}" for number in range(8)]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Step, ...]:
    """Steps whose needs name any others: with and without circles."""
    names = draw(st.permutations(NAMES[: draw(st.integers(1, 8))]))
    return tuple(
        Step(name=name, skill="sentiment", needs=tuple(draw(st.lists(st.sampled_from(names), max_size=3, unique=True))))
        for name in names
    )


@st.composite
def acyclic(draw: st.DrawFn) -> tuple[Step, ...]:
    """Steps that need only earlier ones, shuffled."""
    steps = [
        Step(
            name=name,
            skill="sentiment",
            needs=tuple(draw(st.lists(st.sampled_from(NAMES[:index]), max_size=3, unique=True))) if index else (),
        )
        for index, name in enumerate(NAMES[: draw(st.integers(1, 8))])
    ]
    return tuple(draw(st.permutations(steps)))


@given(acyclic())
def test_every_step_comes_once_and_after_all_it_needs(steps: tuple[Step, ...]) -> None:
    waves = order(Plan(step=steps))
    done: set[str] = set()
    for wave in waves:
        assert wave
        assert all(done.issuperset(step.needs) for step in wave)
        done.update(step.name for step in wave)
    assert sorted(step.name for wave in waves for step in wave) == sorted(step.name for step in steps)


@given(graphs())
def test_any_graph_has_an_order_or_a_circle_that_is_named(steps: tuple[Step, ...]) -> None:
    problem, ordered = "", len(steps)
    try:
        ordered = sum(map(len, order(Plan(step=steps))))
    except UsageError as error:
        problem = str(error)
    assert ordered == len(steps)
    assert not problem or "circle" in problem


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["step", "name", "skill", "needs", "x"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=40)
@given(plain)
def test_any_value_is_a_plan_or_a_usage_error(value: Any) -> None:
    try:
        plan = parse_plan(value, ["a.txt"])
    except UsageError:
        return
    assert order(plan)


@given(st.integers(2, 40))
def test_one_step_a_document_and_one_merge(count: int) -> None:
    files = tuple(File(f"{number}.txt", "text/plain", b"x") for number in range(count))
    plan = per_document("sentiment", "", files)
    assert plan.paid_steps == count
    first, last = order(plan)
    assert len(first) == count
    assert [step.merge for step in last] == [True]


@given(st.lists(st.tuples(st.sampled_from(["text/plain", "application/json", "image/png"]), st.binary(max_size=20))))
def test_any_results_can_be_merged(results: list[tuple[str, bytes]]) -> None:
    merged = merge(tuple(Part(f"s{number}", Content(*result), Origin("")) for number, result in enumerate(results)))
    assert merged.media_type == "application/json"
    assert merged.data


def test_a_plan_has_a_limit() -> None:
    steps = [{"name": f"s{number}", "skill": "risk"} for number in range(257)]
    with pytest.raises(UsageError, match="256"):
        parse_plan({"step": steps}, [])
