-- What this node found out about sellers by itself.
CREATE TABLE attestations (
    peer BLOB PRIMARY KEY CHECK (length(peer) = 32),
    unix_ms INTEGER NOT NULL,
    holds INTEGER NOT NULL,
    size INTEGER NOT NULL,
    rounds INTEGER NOT NULL,
    memory_mib INTEGER NOT NULL,
    rate_mops INTEGER NOT NULL,
    problem TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE skill_tests (
    peer BLOB NOT NULL CHECK (length(peer) = 32),
    skill TEXT NOT NULL,
    unix_ms INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    good INTEGER NOT NULL,
    bad INTEGER NOT NULL,
    items_root BLOB NOT NULL CHECK (length(items_root) = 32),
    items INTEGER NOT NULL,
    PRIMARY KEY (peer, skill)
) STRICT, WITHOUT ROWID;
-- Questions that some seller has seen: none is asked again.
CREATE TABLE asked_items (
    input_sha256 BLOB PRIMARY KEY CHECK (length(input_sha256) = 32),
    unix_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Strings planted in confidential inputs, and the sellers that were sent one which turned up elsewhere.
CREATE TABLE honeytokens (
    token TEXT PRIMARY KEY,
    task_id BLOB NOT NULL,
    unix_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE leaks (
    peer BLOB NOT NULL CHECK (length(peer) = 32),
    token TEXT NOT NULL,
    unix_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, token)
) STRICT, WITHOUT ROWID;
