"""The life of a task: whatever is asked of it in whatever order, an ended one stays as it ended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.tasks.lifecycle import ENDED, TRANSITIONS, TaskState, TransitionError, advance

STATES: list[TaskState] = list(TRANSITIONS)


def test_the_ended_states_are_those_of_a2a() -> None:
    assert {"completed", "failed", "cancelled", "rejected"} == ENDED


@given(st.lists(st.sampled_from(STATES), max_size=30))
def test_no_path_leaves_an_ended_state(wishes: list[TaskState]) -> None:
    state: TaskState = "submitted"
    for wish in wishes:
        was, problem = state, ""
        try:
            state = advance(state, wish)
        except TransitionError as error:
            problem = str(error)
        assert not problem or (state == was and was in problem and wish in problem)
        assert was not in ENDED or state == was
        assert state == was or state in TRANSITIONS[was]


def test_every_state_is_reached_and_every_other_one_can_end() -> None:
    reached = {"submitted"} | {onward for onwards in TRANSITIONS.values() for onward in onwards}
    assert reached == set(STATES)
    for state in set(STATES) - ENDED:
        assert TRANSITIONS[state] & ENDED


@pytest.mark.parametrize("state", sorted(ENDED))
def test_ending_twice_is_refused(state: TaskState) -> None:
    with pytest.raises(TransitionError, match="it has ended"):
        advance(state, state)
