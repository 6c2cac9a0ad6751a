"""The heap of deadlines."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.timers import SPARE, Timers


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=200))
def test_what_runs_comes_out_in_order_and_what_ended_does_not(added: list[tuple[int, bool]]) -> None:
    running = {number for number, (_, runs) in enumerate(added) if runs}
    timers: Timers[int] = Timers(running.__contains__)
    for number, (at, _) in enumerate(added):
        timers.add(at, number, running=len(running))
    due = sorted(at for at, runs in added if runs)
    assert timers.next_at() == (due[0] if due else None)
    popped = []
    while (number_due := timers.pop_due(now=10)) is not None:
        popped.append(added[number_due][0])
    assert popped == [at for at in due if at <= 10]


def test_the_heap_stays_in_proportion_to_what_runs() -> None:
    running: set[int] = set()
    timers: Timers[int] = Timers(running.__contains__)
    for number in range(10_000):
        running.add(number)
        timers.add(number, number, running=len(running))
        running.discard(number - 5)
    assert len(timers) <= SPARE + 2 * len(running) + 2
