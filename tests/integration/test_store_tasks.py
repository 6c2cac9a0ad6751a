"""Task rows and logs: one task a key, no way out of an end, logs and lists that stay bounded."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from node.errors import UsageError
from node.store.database import Database
from node.store.migrations import NODE
from node.store.task_events import MAX_EVENTS, append_event
from node.store.tasks import TaskChange, TaskRecord, TaskRow, Tasks
from node.store.tasks import insert as insert_row
from node.tasks.lifecycle import TransitionError


def row(number: int = 1, **fields: object) -> TaskRow:
    made = TaskRow(
        task_id=number.to_bytes(16, "big"),
        role="client",
        specification=b"spec",
        skill="risk",
        created_unix_ms=1000 + number,
        deadline_unix_ms=9000,
    )
    return msgspec.structs.replace(made, **fields)


async def insert(tasks: Tasks, row: TaskRow) -> tuple[TaskRow, bool]:
    """A task whose log is empty."""
    return await tasks._database.write(insert_row, row)


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    database = await Database.open(None, NODE)
    yield database
    await database.close()


@pytest.fixture
def tasks(database: Database) -> Tasks:
    return Tasks(database)


async def test_a_task_comes_back_as_stored_after_a_restart(tmp_path: Path) -> None:
    stored = row(
        idempotency_key="k",
        peer=b"p" * 32,
        price_micro=5,
        paid_micro=4,
        result_sha256=os.urandom(32),
        result_media_type="text/plain",
    )
    database = await Database.open(tmp_path / "node.db", NODE)
    inserted, is_new = await insert(Tasks(database), stored)
    assert is_new
    await database.close()
    database = await Database.open(tmp_path / "node.db", NODE)
    assert await Tasks(database).get(stored.task_id) == inserted
    await database.close()


async def test_asking_again_with_the_same_key_gives_the_same_task(tasks: Tasks) -> None:
    first, _ = await insert(tasks, row(1, idempotency_key="k"))
    again, is_new = await insert(tasks, row(2, idempotency_key="k"))
    assert (again, is_new) == (first, False)
    assert len(await tasks.select()) == 1


async def test_a_key_cannot_stand_for_two_different_requests(tasks: Tasks) -> None:
    await insert(tasks, row(1, idempotency_key="k"))
    with pytest.raises(UsageError, match=r"'k' was used for another task, 0+1: use a new key"):
        await insert(tasks, row(2, idempotency_key="k", specification=b"other"))


async def test_a_task_id_is_taken_once(tasks: Tasks) -> None:
    await insert(tasks, row(1))
    with pytest.raises(UsageError, match="cannot be stored"):
        await insert(tasks, row(1))


async def test_a_subtask_needs_its_plan(tasks: Tasks) -> None:
    with pytest.raises(UsageError, match="cannot be stored"):
        await insert(tasks, row(2, parent_id=b"\0" * 16))


async def test_an_ended_task_stays_as_it_ended(tasks: Tasks) -> None:
    await insert(tasks, row())
    await tasks.change(row().task_id, TaskChange(state="working"), 2000)
    done = await tasks.change(row().task_id, TaskChange(state="completed", paid_micro=7), 3000)
    assert (done.state, done.paid_micro, done.finished_unix_ms, done.updated_unix_ms) == ("completed", 7, 3000, 3000)
    with pytest.raises(TransitionError):
        await tasks.change(row().task_id, TaskChange(state="working"), 4000)
    same = await tasks.change(row().task_id, TaskChange(state="completed", error_text="late note"), 5000)
    assert (same.finished_unix_ms, same.error_text) == (3000, "late note")


async def test_a_task_and_the_line_that_tells_of_its_end_are_written_together(tasks: Tasks) -> None:
    task_id = (await insert(tasks, row()))[0].task_id
    seen: list[str] = []

    def line(record: TaskRecord) -> str:
        seen.append(record.row.state)
        return "the end"

    record, has_ended_now = await tasks.end(task_id, TaskChange(state="cancelled"), 5, "cancelled", line)
    assert (has_ended_now, record.row.state, seen) == (True, "cancelled", ["cancelled"])
    assert [(event.kind, event.body) for event in record.events] == [("cancelled", "the end")]
    assert await tasks.end(task_id, TaskChange(state="failed"), 6, "failed", line) == (record, False)
    assert await tasks.record(task_id) == record


async def test_an_unknown_task_is_a_clear_error(tasks: Tasks) -> None:
    for attempt in (
        tasks.get(b"x" * 16),
        tasks.change(b"x" * 16, TaskChange(), 1),
        tasks.append_event(b"x" * 16, 1, "k", "{}"),
    ):
        with pytest.raises(UsageError, match="there is no task 7878"):
            await attempt


async def test_a_task_is_found_by_the_start_of_its_id(tasks: Tasks) -> None:
    await insert(tasks, row(1, task_id=bytes.fromhex("ab" * 16)))
    await insert(tasks, row(2, task_id=bytes.fromhex("abcd" * 8)))
    assert [found.task_id.hex()[:4] for found in await tasks.find("ab")] == ["abcd", "abab"]
    assert [found.task_id.hex()[:4] for found in await tasks.find("ABC")] == ["abcd"]
    assert await tasks.find("%") == []


async def test_lists_are_newest_first_filtered_paged_and_bounded(tasks: Tasks) -> None:
    for number in range(1, 8):
        await insert(tasks, row(number, role="client" if number % 2 else "contractor"))
    await tasks.change(row(3).task_id, TaskChange(state="cancelled"), 5000)
    assert [found.created_unix_ms for found in await tasks.select(limit=3)] == [1007, 1006, 1005]
    assert [found.created_unix_ms for found in await tasks.select(limit=3, before_unix_ms=1005)] == [1004, 1003, 1002]
    assert [found.created_unix_ms for found in await tasks.select(role="client", states=("submitted",))] == [
        1007,
        1005,
        1001,
    ]
    assert [found.created_unix_ms for found in await tasks.select(states=("cancelled", "failed"))] == [1003]
    assert len(await tasks.unfinished()) == 6
    assert await tasks.count_by_state() == {"submitted": 6, "cancelled": 1}


async def test_a_log_is_read_in_order_and_from_anywhere(tasks: Tasks) -> None:
    await insert(tasks, row())
    numbers = [await tasks.append_event(row().task_id, 10 * n, "progress", f'{{"n":{n}}}') for n in range(1, 5)]
    assert numbers == [1, 2, 3, 4]
    assert [event.body for event in await tasks.events(row().task_id, after_seq=2)] == ['{"n":3}', '{"n":4}']


async def test_a_chatty_seller_cannot_fill_the_log(database: Database, tasks: Tasks) -> None:
    await insert(tasks, row())

    def chat(connection: object) -> None:
        append_event(connection, row().task_id, 1, "awarded", "{}")  # type: ignore[arg-type]
        for _ in range(MAX_EVENTS + 50):
            append_event(connection, row().task_id, 2, "progress", "{}")  # type: ignore[arg-type]

    await database.write(chat)
    events = await tasks.events(row().task_id)
    assert len(events) == MAX_EVENTS
    assert events[0].kind == "awarded"
    assert events[-1].seq == MAX_EVENTS + 51


async def test_forgetting_takes_whole_plans_and_leaves_what_runs(tasks: Tasks) -> None:
    await insert(tasks, row(1))
    await insert(tasks, row(2, parent_id=row(1).task_id, node_name="merge"))
    await insert(tasks, row(3))
    await tasks.append_event(row(2).task_id, 1, "progress", "{}")
    for number in (2, 3):
        await tasks.change(row(number).task_id, TaskChange(state="failed"), 2000)
    assert await tasks.forget(5000) == [row(3).task_id]
    await tasks.change(row(1).task_id, TaskChange(state="failed"), 3000)
    assert await tasks.forget(3000) == []
    assert set(await tasks.forget(3001)) == {row(1).task_id, row(2).task_id}
    assert await tasks.select() == []
    assert await tasks.events(row(2).task_id) == []


async def test_a_task_is_opened_with_its_first_line_and_found_again_without_another(tasks: Tasks) -> None:
    opened, is_new = await tasks.open_logged(row(1, idempotency_key="k"), 7, "submitted", "{}")
    again, is_new_again = await tasks.open_logged(row(2, idempotency_key="k"), 8, "submitted", "{}")
    assert (is_new, is_new_again, again) == (True, False, opened)
    assert [(event.unix_ms, event.kind) for event in await tasks.events(row(1).task_id)] == [(7, "submitted")]
    assert await tasks.events(row(2).task_id) == []


async def test_a_change_that_cannot_be_made_is_not_logged(tasks: Tasks) -> None:
    await insert(tasks, row())
    await tasks.change_logged(row().task_id, TaskChange(paid_micro=5), 7, "receipt", "{}")
    with pytest.raises(UsageError):
        await tasks.change_logged(row(2).task_id, TaskChange(paid_micro=5), 8, "receipt", "{}")
    assert (await tasks.get(row().task_id)).paid_micro == 5
    assert [event.kind for event in await tasks.events(row().task_id)] == ["receipt"]
    assert await tasks.events(row(2).task_id) == []
