-- What sellers proved to this node: when, and when that ends by itself.
CREATE TABLE shown_proofs (
    peer BLOB NOT NULL CHECK (length(peer) = 32),
    proof TEXT NOT NULL,
    shown_unix_ms INTEGER NOT NULL,
    until_unix_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, proof)
) STRICT, WITHOUT ROWID;
