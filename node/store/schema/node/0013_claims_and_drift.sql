-- What sellers proved, by claim: what it is about, who attests it (empty: this node itself), how much; when, and when it ends.
CREATE TABLE shown_claims (
    peer BLOB NOT NULL CHECK (length(peer) = 32),
    proof TEXT NOT NULL,
    claim TEXT NOT NULL,
    attester BLOB NOT NULL,
    amount INTEGER NOT NULL,
    shown_unix_ms INTEGER NOT NULL,
    until_unix_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, proof, claim, attester)
) STRICT, WITHOUT ROWID;
INSERT INTO shown_claims SELECT peer, proof, '', x'', 0, shown_unix_ms, until_unix_ms FROM shown_proofs;
DROP TABLE shown_proofs;
-- Every attestation that was asked of a peer, and why: empty where the owner wished it. Not done: it was refused.
CREATE TABLE asked_attestations (
    peer BLOB NOT NULL CHECK (length(peer) = 32),
    unix_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    done INTEGER NOT NULL,
    holds INTEGER NOT NULL,
    size INTEGER NOT NULL,
    rounds INTEGER NOT NULL,
    memory_mib INTEGER NOT NULL,
    rate_mops INTEGER NOT NULL,
    problem TEXT NOT NULL,
    PRIMARY KEY (peer, unix_ms)
) STRICT, WITHOUT ROWID;
INSERT INTO asked_attestations
    SELECT peer, unix_ms, '', 1, holds, size, rounds, memory_mib, rate_mops, problem FROM attestations;
DROP TABLE attestations;
-- What sellers that this node deals with state of what does their work, as when they were met or examined.
CREATE TABLE seller_facts (
    peer BLOB NOT NULL CHECK (length(peer) = 32),
    skill TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (peer, skill)
) STRICT, WITHOUT ROWID;
-- Sellers that seem to have changed, until an attestation holds.
CREATE TABLE drifts (
    peer BLOB PRIMARY KEY CHECK (length(peer) = 32),
    unix_ms INTEGER NOT NULL,
    skill TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- How sellers answered canaries.
CREATE TABLE canary_answers (
    peer BLOB NOT NULL CHECK (length(peer) = 32),
    skill TEXT NOT NULL,
    good INTEGER NOT NULL,
    bad INTEGER NOT NULL,
    unix_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, skill)
) STRICT, WITHOUT ROWID;
