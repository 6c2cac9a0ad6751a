-- The state after the last block: all entries as they were at one moment, and what changed since. What `state` holds
-- from before is moved when next opened; so are the contents of older blocks.
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL,
    entries BLOB NOT NULL
) STRICT;
CREATE TABLE changes (
    id INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    entries BLOB NOT NULL
) STRICT;
-- Which entries are whole, and how many they are: others are being written.
CREATE TABLE whole (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    generation INTEGER NOT NULL,
    count INTEGER NOT NULL
) STRICT;
INSERT INTO whole VALUES (1, 0, 0);

-- The beginnings of the ids of a block's transactions, one after the other.
CREATE TABLE contents (
    height INTEGER PRIMARY KEY,
    ids BLOB NOT NULL
) STRICT;
DROP TABLE transactions;
