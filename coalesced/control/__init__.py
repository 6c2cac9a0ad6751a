"""The local control API: HTTP with JSON on a Unix socket that only the owner can open."""
