"""The paper's 240 tasks as real work: hired and done by processes, verified and measured (COALESCE, Table II)."""
