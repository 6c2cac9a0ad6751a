"""The configuration files of MCP clients: where each has its own, and how an entry gets in and out of it."""
