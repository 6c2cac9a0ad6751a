-- Where a seller's skill was found to lie, beside what it says: a bounded offset of its text's vector.
CREATE TABLE learned_places (
    contractor BLOB NOT NULL,
    skill TEXT NOT NULL,
    offset BLOB NOT NULL,
    unix_ms INTEGER NOT NULL,
    PRIMARY KEY (contractor, skill)
) STRICT, WITHOUT ROWID;
