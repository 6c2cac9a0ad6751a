CREATE TABLE entries (
    height INTEGER PRIMARY KEY,
    previous BLOB NOT NULL,
    unix_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;

-- Only to find a task's entries quickly; what counts is in the entries.
CREATE TABLE entries_of_tasks (
    task_id BLOB NOT NULL,
    height INTEGER NOT NULL,
    PRIMARY KEY (task_id, height)
) STRICT, WITHOUT ROWID;

-- One row: how far the journal goes, signed by its owner.
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    height INTEGER NOT NULL,
    hash BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT;
