"""The node as tools of MCP clients: a process of its own, over the control API, as the extra `mcp`."""
