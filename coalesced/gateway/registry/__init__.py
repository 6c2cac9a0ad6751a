"""A node in the role of a registry, to HTTP clients on its public port."""
