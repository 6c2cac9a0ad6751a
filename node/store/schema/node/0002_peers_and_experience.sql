CREATE TABLE peers (
    public_key BLOB PRIMARY KEY CHECK (length(public_key) = 32),
    host TEXT NOT NULL,
    port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
    first_seen_unix_ms INTEGER NOT NULL,
    last_seen_unix_ms INTEGER NOT NULL,
    rtt_us INTEGER,
    offences INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX peers_by_last_seen ON peers (last_seen_unix_ms);

-- Apart from peers: a block outlives what is known about the peer, and may come before it is ever met.
CREATE TABLE blocked_peers (
    public_key BLOB PRIMARY KEY CHECK (length(public_key) = 32),
    unix_ms INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- How each job with a contractor ended: from its receipt or its fault report, once.
CREATE TABLE outcomes (
    task_id BLOB NOT NULL,
    contractor BLOB NOT NULL,
    skill TEXT NOT NULL,
    unix_ms INTEGER NOT NULL,
    success INTEGER NOT NULL CHECK (success IN (0, 1)),
    kind TEXT NOT NULL,
    paid_micro INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    PRIMARY KEY (task_id, contractor)
) STRICT, WITHOUT ROWID;
CREATE INDEX outcomes_by_pair ON outcomes (contractor, skill, unix_ms);

CREATE TABLE calibration (
    task_type TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    updated_unix_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE offers (
    label TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    registered_unix_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A task is decided again after each failure: seq counts its decisions.
CREATE TABLE decisions (
    task_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    unix_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (task_id, seq)
) STRICT, WITHOUT ROWID;
