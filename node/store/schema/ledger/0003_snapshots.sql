-- Which file this is, by chance, so that another one in its place is noticed; and whether votes of this key are unknown.
CREATE TABLE memory (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    instance BLOB NOT NULL,
    forgot INTEGER NOT NULL
) STRICT;
INSERT INTO memory VALUES (1, randomblob(16), 0);

-- A change of the committee outlives its block.
ALTER TABLE committees ADD COLUMN header BLOB;
ALTER TABLE committees ADD COLUMN certificate BLOB;
UPDATE committees SET
    header = (SELECT header FROM blocks WHERE blocks.height = committees.height),
    certificate = (SELECT certificate FROM blocks WHERE blocks.height = committees.height);

-- Blocks after which the state is kept for others to fetch. Where blocks are missing, the first one follows the lowest.
CREATE TABLE points (
    height INTEGER PRIMARY KEY,
    header BLOB NOT NULL,
    certificate BLOB NOT NULL
) STRICT;

-- What turns the state after the next point (or the last block) back into that after this one; null: it was not there.
CREATE TABLE before (
    point INTEGER NOT NULL,
    key BLOB NOT NULL,
    value BLOB,
    PRIMARY KEY (point, key)
) STRICT, WITHOUT ROWID;

-- Of a state that is being fetched.
CREATE TABLE pieces (
    id INTEGER PRIMARY KEY,
    piece BLOB NOT NULL
) STRICT;
