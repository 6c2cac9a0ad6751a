"""Live events reach those who listen to them, and nobody else."""

from node.events import EventHub
from node.views import EventView


def event(task_id: str) -> EventView:
    return EventView(name="progress", at_unix_ms=1, task_id=task_id)


def test_a_watcher_of_one_task_gets_its_events_only_and_a_listener_to_everything_gets_all() -> None:
    hub = EventHub(lambda: 1)
    with hub.subscribe("a") as of_a, hub.subscribe() as of_all:
        for task_id in ("a", "b", ""):
            hub.publish(event(task_id))
        assert [of_a.get_nowait().task_id for _ in range(of_a.qsize())] == ["a"]
        assert [of_all.get_nowait().task_id for _ in range(of_all.qsize())] == ["a", "b", ""]


def test_one_watcher_that_leaves_takes_nothing_from_another_of_the_same_task() -> None:
    hub = EventHub(lambda: 1)
    with hub.subscribe("a") as staying:
        with hub.subscribe("a"):
            pass
        hub.publish(event("a"))
        assert staying.qsize() == 1
    hub.publish(event("a"))
    assert staying.qsize() == 1
