"""A ledger.db as version 4 wrote it, with the state in rows, is brought up to date with all that was in it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from node.store.migrations import LEDGER, backup_path
from protocol.transactions import transaction_id
from tests.harness.communities import community, until

VERSION_4 = """
DROP TABLE entries; DROP TABLE changes; DROP TABLE whole; DROP TABLE contents;
CREATE TABLE transactions (
    tx_id BLOB PRIMARY KEY, height INTEGER NOT NULL, place INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 4;
"""


async def test_a_file_of_the_version_before_goes_on_as_it_was(tmp_path: Path) -> None:
    async with community(tmp_path, members=1) as alone:
        member = alone.members[0]
        await member.commit()
        done = await member.commit()
        entries = list(member.state.export())
        await member.stop()
        file = tmp_path / "node0" / "ledger.db"
        with closing(sqlite3.connect(file)) as connection:
            connection.executescript(VERSION_4)
            connection.executemany("INSERT INTO state VALUES (?, ?)", entries)
            connection.commit()
        await alone.start(member)
        await until(lambda: member.height == 2, "it reads its file")
        assert list(member.state.export()) == entries
        place = await member.store.find(done.tx_id)
        assert place is not None
        assert (place.height, place.place) == (2, 0)
        assert (await member.commit()).height == 3
        assert backup_path(file, 4).exists()
        await member.stop()
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (len(LEDGER.migrations),)
            assert connection.execute("SELECT count(*) FROM state").fetchone() == (0,)


async def test_a_transaction_is_found_by_its_whole_id(tmp_path: Path) -> None:
    async with community(tmp_path, members=1) as alone:
        member = alone.members[0]
        done = [await member.commit() for _ in range(3)]
        for one in done:
            place = await member.store.find(one.tx_id)
            assert place is not None
            assert place.height == one.height
            assert await member.store.find(one.tx_id[:-1] + bytes([one.tx_id[-1] ^ 1])) is None
        assert await member.store.find(bytes(32)) is None
        block = await member.store.block(done[0].height)
        assert block is not None
        assert [transaction_id(tx) for tx in block.block.txs] == [done[0].tx_id]
