"""What a community chain is about: genesis, accounts, ratings, credits, members, and proofs of them. Pure."""
