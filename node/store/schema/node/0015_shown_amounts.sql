-- Who proves to have at least 64 and then at least 32 has still proved the first: each amount is kept with its own time.
CREATE TABLE shown_amounts (
    peer BLOB NOT NULL CHECK (length(peer) = 32),
    proof TEXT NOT NULL,
    claim TEXT NOT NULL,
    attester BLOB NOT NULL,
    amount INTEGER NOT NULL,
    shown_unix_ms INTEGER NOT NULL,
    until_unix_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, proof, claim, attester, amount)
) STRICT, WITHOUT ROWID;
INSERT INTO shown_amounts SELECT peer, proof, claim, attester, amount, shown_unix_ms, until_unix_ms FROM shown_claims;
DROP TABLE shown_claims;
