-- What an arbiter is shown of a deal: by the client until there is a dispute, by the arbiter until it has ruled.
CREATE TABLE exhibits (
    deal BLOB PRIMARY KEY,
    exhibit BLOB NOT NULL,
    unix_ms INTEGER NOT NULL
) STRICT;
