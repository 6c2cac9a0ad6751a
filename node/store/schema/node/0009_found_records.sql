-- Signed records of others, as found, until they expire: what is left where no source answers.
CREATE TABLE found_records (
    key BLOB NOT NULL,
    public_key BLOB NOT NULL,
    seq INTEGER NOT NULL,
    expires_unix_ms INTEGER NOT NULL,
    raw BLOB NOT NULL,
    PRIMARY KEY (key, public_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX found_records_expiry ON found_records (expires_unix_ms);
