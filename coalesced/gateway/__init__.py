"""Translation only: what other protocols ask of this node, in its own words, and its answers in theirs."""
