-- What this node delivered, until its client has rated it or it was filed as unrated: what proves acceptance and award.
CREATE TABLE own_deliveries (
    acceptance_id BLOB PRIMARY KEY,
    acceptance BLOB NOT NULL,
    acceptance_signature BLOB NOT NULL,
    award BLOB NOT NULL,
    award_signature BLOB NOT NULL,
    salt BLOB NOT NULL,
    awarded_unix_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX own_deliveries_by_age ON own_deliveries (awarded_unix_ms, acceptance_id);
