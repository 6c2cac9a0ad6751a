-- Credentials that this node holds or issued, as their files, and what it saw of others'.
CREATE TABLE held_credentials (
    issuer BLOB NOT NULL CHECK (length(issuer) = 32),
    certificate_sha256 BLOB NOT NULL CHECK (length(certificate_sha256) = 32),
    expires_unix_s INTEGER NOT NULL,
    kept_unix_ms INTEGER NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (issuer, certificate_sha256)
) STRICT, WITHOUT ROWID;
CREATE TABLE issued_credentials (
    serial TEXT PRIMARY KEY,
    subject BLOB NOT NULL CHECK (length(subject) = 32),
    issued_unix_ms INTEGER NOT NULL,
    expires_unix_s INTEGER NOT NULL,
    revoked_unix_ms INTEGER,
    document BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX issued_credentials_by_subject ON issued_credentials (subject, issued_unix_ms);
-- The largest tree seen of an issuer about a subject: the next one must have grown from it.
CREATE TABLE seen_trees (
    subject BLOB NOT NULL CHECK (length(subject) = 32),
    issuer BLOB NOT NULL CHECK (length(issuer) = 32),
    serial TEXT NOT NULL,
    root TEXT NOT NULL,
    leaves INTEGER NOT NULL,
    PRIMARY KEY (subject, issuer)
) STRICT, WITHOUT ROWID;
