"""Port numbers for nodes that are about to start."""

import contextlib
import random
import socket
from collections.abc import Sequence

from coalesced.testnet.manifest import HOST, TestnetError

FIRST_PORT, LAST_PORT = 20_000, 32_000
"""Below the range that Linux (32768) and macOS (49152) hand out for outgoing connections: nothing takes one of
these by chance between our choosing it and the node's binding it."""
ATTEMPTS = 400


def free_ports(count: int, *, avoid: Sequence[int] = ()) -> tuple[int, ...]:
    """`count` different numbers, each free for TCP and UDP on loopback now. All are held until the last is found."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        for _ in range(ATTEMPTS):
            if len(found) == count:
                return tuple(found)
            port = random.randrange(FIRST_PORT, LAST_PORT)
            if port not in avoid and port not in found and _hold(port, held):
                found.append(port)
        if len(found) == count:
            return tuple(found)
    raise TestnetError(f"found only {len(found)} of {count} free ports between {FIRST_PORT} and {LAST_PORT}")


def _hold(port: int, held: contextlib.ExitStack) -> bool:
    """Bind both protocols at `port` for as long as `held` lives; False when either is taken."""
    with contextlib.ExitStack() as pair:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            bound = pair.enter_context(socket.socket(socket.AF_INET, kind))
            try:
                bound.bind((HOST, port))
            except OSError:
                return False
        held.enter_context(pair.pop_all())
    return True
