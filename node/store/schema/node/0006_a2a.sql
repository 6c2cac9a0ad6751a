-- Tasks that agents gave this node over A2A, as the protocol's own message (protobuf), and where to push their news.
CREATE TABLE a2a_tasks (
    task_id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    context_id TEXT NOT NULL,
    state INTEGER NOT NULL,
    ended INTEGER NOT NULL CHECK (ended IN (0, 1)),
    created_unix_ms INTEGER NOT NULL,
    updated_unix_ns INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX a2a_tasks_by_owner ON a2a_tasks (owner, updated_unix_ns, task_id);
CREATE INDEX a2a_tasks_open ON a2a_tasks (owner) WHERE ended = 0;
CREATE TABLE a2a_push_configs (
    task_id TEXT NOT NULL,
    config_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (task_id, config_id)
) STRICT, WITHOUT ROWID;
