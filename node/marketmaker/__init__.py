"""A market maker: probes sellers with paid tasks, and sells signed documents of what came of it (node/priors)."""
