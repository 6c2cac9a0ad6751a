"""Telling systemd how the daemon is (sd_notify(3)); nothing where NOTIFY_SOCKET is not set."""

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send one state, such as READY=1, STOPPING=1, or STATUS=...; never fails: the daemon works without."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or address[0] not in "@/":
        return
    if address[0] == "@":
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(state.encode(), address)
