"""What a file holds of the state is the state after the last write, however often it was written anew meanwhile."""

import sqlite3
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from node.ledger.chain.state import Name, State, imported
from node.store.ledger_state import StateWriter, stored_entries
from node.store.migrations import LEDGER, migrate

NAMES = st.binary(min_size=1, max_size=1)
CHANGES = st.dictionaries(NAMES, st.none() | st.integers(1, 3), min_size=1, max_size=6)
EVENTS = st.sampled_from(["write", "write", "write", "fail", "restart", "replace"])


def changed(state: State, changes: dict[bytes, int | None]) -> State:
    """`state` after some names were given or taken away."""
    entries = {b"\x04" + name * 32: number for name, number in changes.items()}
    return State(
        state.trie.update({key: None if number is None else Name(b"", number) for key, number in entries.items()})
    )


@given(st.lists(st.tuples(CHANGES, EVENTS), max_size=40), st.integers(1, 20), st.integers(1, 4))
def test_what_is_stored_is_the_state_after_the_last_write(
    steps: list[tuple[dict[bytes, int | None], str]], min_changes: int, min_pace: int
) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, LEDGER, None)
        writer, state = StateWriter(min_changes, min_pace), State()
        writer.open(connection)
        for changes, event in steps:
            after = changed(state, changes)
            connection.execute("BEGIN")
            if event == "replace":
                writer.replace(connection, after.export())
            else:
                writer.write(connection, after.trie.changes(state.trie), after)
            if event == "fail":
                connection.execute("ROLLBACK")
                writer.open(connection)
            else:
                connection.execute("COMMIT")
                state = after
            if event == "restart":
                writer = StateWriter(min_changes, min_pace)
                writer.open(connection)
            entries = stored_entries(connection)
            assert entries == list(state.export())
            assert imported(entries).trie.root() == state.trie.root()


def test_what_is_stored_stays_within_a_few_times_the_state() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, LEDGER, None)
        writer, state = StateWriter(min_changes=50, min_pace=8), State()
        writer.open(connection)
        most = 0
        for turn in range(1000):
            after = changed(state, {bytes([turn % 100]): turn, bytes([turn * 7 % 100]): turn})
            writer.write(connection, after.trie.changes(state.trie), after)
            state = after
            (changes,) = connection.execute("SELECT sum(count) FROM changes").fetchone()
            most = max(most, changes or 0)
        assert stored_entries(connection) == list(state.export())
        assert 200 <= most <= 250  # twice the 100 entries, and what comes while they are written anew
        (generation,) = connection.execute("SELECT generation FROM whole").fetchone()
        assert generation >= 8
