"""A2A agents as sellers to this node. Needs no extra: what is sent is JSON."""
