-- A market maker's probes. What is reserved counts as spent until it is known what was paid.
CREATE TABLE probes (
    probe_id BLOB PRIMARY KEY CHECK (length(probe_id) = 16),
    task_id BLOB,
    seller BLOB NOT NULL CHECK (length(seller) = 32),
    skill TEXT NOT NULL,
    unix_ms INTEGER NOT NULL,
    reserved_micro INTEGER NOT NULL CHECK (reserved_micro >= 0),
    paid_micro INTEGER CHECK (paid_micro >= 0),
    quoted_micro INTEGER NOT NULL DEFAULT 0,
    promised_ms INTEGER NOT NULL DEFAULT 0,
    took_ms INTEGER NOT NULL DEFAULT 0,
    ending TEXT,
    record BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX probes_by_time ON probes (unix_ms);
CREATE INDEX probes_by_skill ON probes (skill, unix_ms);

-- Documents bought of market makers: the last of each about each skill.
CREATE TABLE market_priors (
    maker BLOB NOT NULL CHECK (length(maker) = 32),
    skill TEXT NOT NULL,
    token TEXT NOT NULL,
    expires_unix_s INTEGER NOT NULL,
    bought_unix_ms INTEGER NOT NULL,
    paid_micro INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    PRIMARY KEY (maker, skill)
) STRICT, WITHOUT ROWID;

-- How far market makers are believed, by what came of their words.
CREATE TABLE market_makers (
    maker BLOB PRIMARY KEY CHECK (length(maker) = 32),
    standing TEXT NOT NULL,
    bought INTEGER NOT NULL DEFAULT 0,
    problem TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
