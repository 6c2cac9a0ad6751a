CREATE TABLE tasks (
    task_id BLOB PRIMARY KEY CHECK (length(task_id) = 16),
    idempotency_key TEXT UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('client', 'contractor')),
    state TEXT NOT NULL CHECK (state IN ('submitted', 'working', 'input-required', 'completed', 'failed', 'cancelled',
        'rejected')),
    specification BLOB NOT NULL,
    skill TEXT NOT NULL,
    parent_id BLOB REFERENCES tasks ON DELETE CASCADE,
    node_name TEXT,
    peer BLOB,
    price_micro INTEGER,
    paid_micro INTEGER NOT NULL DEFAULT 0,
    error_code TEXT,
    error_text TEXT,
    result_sha256 BLOB,
    result_media_type TEXT,
    created_unix_ms INTEGER NOT NULL,
    updated_unix_ms INTEGER NOT NULL,
    finished_unix_ms INTEGER,
    deadline_unix_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tasks_by_creation ON tasks (created_unix_ms, task_id);
CREATE INDEX tasks_by_parent ON tasks (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX tasks_unfinished ON tasks (state) WHERE finished_unix_ms IS NULL;
CREATE INDEX tasks_by_end ON tasks (finished_unix_ms) WHERE finished_unix_ms IS NOT NULL;

CREATE TABLE task_events (
    task_id BLOB NOT NULL REFERENCES tasks ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    unix_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (task_id, seq)
) STRICT, WITHOUT ROWID;

-- One row for each award: open from before it is sent until it is settled; a released one is deleted.
CREATE TABLE spending (
    task_id BLOB NOT NULL,
    peer BLOB NOT NULL,
    day INTEGER NOT NULL,
    reserved_unix_ms INTEGER NOT NULL,
    amount_micro INTEGER NOT NULL CHECK (amount_micro >= 0),
    paid_micro INTEGER CHECK (paid_micro BETWEEN 0 AND amount_micro),
    unverified_micro INTEGER NOT NULL DEFAULT 0 CHECK (unverified_micro >= 0),
    PRIMARY KEY (task_id, peer)
) STRICT, WITHOUT ROWID;
CREATE INDEX spending_by_day ON spending (day, paid_micro, amount_micro);
CREATE INDEX spending_by_peer ON spending (peer, day);
CREATE INDEX spending_open ON spending (peer) WHERE paid_micro IS NULL;
