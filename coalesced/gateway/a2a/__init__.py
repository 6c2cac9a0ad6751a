"""Agents of the A2A protocol: callers of this node (server) and sellers to it (client). Needs the extra `a2a`."""
