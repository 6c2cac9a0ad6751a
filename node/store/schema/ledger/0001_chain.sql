-- One row: the chain that this node follows, for good.
CREATE TABLE pinned (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    genesis BLOB NOT NULL,
    origin TEXT NOT NULL,
    unix_ms INTEGER NOT NULL
) STRICT;

-- What this node said and has to know after a crash, in the order in which it was said.
CREATE TABLE votes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    height INTEGER NOT NULL,
    is_view INTEGER NOT NULL,
    record BLOB NOT NULL
) STRICT;

CREATE TABLE blocks (
    height INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    header BLOB NOT NULL,
    txs BLOB NOT NULL,
    certificate BLOB NOT NULL
) STRICT;

CREATE TABLE transactions (
    tx_id BLOB PRIMARY KEY,
    height INTEGER NOT NULL,
    place INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The state after the last block: scores, accounts, committee.
CREATE TABLE state (
    key BLOB PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The blocks after which the committee was another: what leads from the genesis to today's.
CREATE TABLE committees (
    height INTEGER PRIMARY KEY,
    members BLOB NOT NULL
) STRICT;

-- Filled and emptied to see whether a disk that was full has room again.
CREATE TABLE room (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    filler BLOB NOT NULL
) STRICT;
