"""Sockets, addresses and sessions between nodes. No task logic."""
