"""The wire version, and the prologue that binds it to the handshake."""

from protocol.errors import LocalProtocolError

PROTOCOL_VERSION = 1
"""Raised whenever an old node could misread a new one."""

DEFAULT_NETWORK = "main"
MAX_NETWORK_CHARS = 48


def check_network(network: str) -> str:
    """Return `network` if it is a usable network name: 1-48 characters of a-z, 0-9 and '-'."""
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789-")
    if not 1 <= len(network) <= MAX_NETWORK_CHARS or not set(network) <= allowed:
        raise LocalProtocolError(
            f"network name {network!r} is not usable: write 1 to {MAX_NETWORK_CHARS} characters of a-z, 0-9 and '-'"
        )
    return network


def prologue(network: str) -> bytes:
    """What both sides must have assumed before the handshake; a difference makes the handshake fail."""
    return b"coalesced/channel/%d/" % PROTOCOL_VERSION + check_network(network).encode()
