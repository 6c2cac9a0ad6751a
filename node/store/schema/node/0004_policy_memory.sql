-- What the decision policies remember beside the outcomes: JSON, replaced as a whole. An empty contractor is the client itself.
CREATE TABLE policy_memory (
    skill TEXT NOT NULL,
    contractor BLOB NOT NULL,
    state TEXT NOT NULL,
    unix_ms INTEGER NOT NULL,
    PRIMARY KEY (skill, contractor)
) STRICT, WITHOUT ROWID;
