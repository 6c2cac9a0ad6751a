"""Records that several parties rely on: the node's own journal now; rules are pure, disks and sockets are elsewhere."""
