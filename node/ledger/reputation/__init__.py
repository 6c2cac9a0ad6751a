"""What ratings say about a contractor: on the chain, equal for all (l1), and as one node sees it (l2). Pure."""
