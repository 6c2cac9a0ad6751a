-- What this node was paid by its countersigned receipts: kept for ever, also when the tasks themselves are forgotten.
CREATE TABLE earnings (
    day INTEGER NOT NULL,
    skill TEXT NOT NULL,
    jobs INTEGER NOT NULL,
    paid_micro INTEGER NOT NULL,
    PRIMARY KEY (day, skill)
) STRICT, WITHOUT ROWID;
