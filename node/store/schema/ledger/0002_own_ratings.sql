-- Ratings of this node's own on their way to the chain: promised by a hash in one epoch, shown in a later one.
CREATE TABLE own_ratings (
    promise BLOB PRIMARY KEY,
    rating BLOB NOT NULL,
    signature BLOB NOT NULL,
    salt BLOB NOT NULL,
    unix_ms INTEGER NOT NULL,
    -- In which the promise was committed; null before.
    epoch INTEGER
) STRICT, WITHOUT ROWID;
