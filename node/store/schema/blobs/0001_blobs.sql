CREATE TABLE blobs (
    sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32),
    size_bytes INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
-- Covers the sum that the quota is compared with, without touching the data.
CREATE INDEX blobs_by_size ON blobs (size_bytes);

-- Which task needs which content. A task that has not finished keeps its content whatever the quota says.
CREATE TABLE uses (
    task_id BLOB NOT NULL,
    part TEXT NOT NULL,
    sha256 BLOB NOT NULL REFERENCES blobs,
    media_type TEXT NOT NULL,
    finished_unix_ms INTEGER,
    PRIMARY KEY (task_id, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX uses_of_blob ON uses (sha256);
CREATE INDEX uses_by_end ON uses (finished_unix_ms) WHERE finished_unix_ms IS NOT NULL;
