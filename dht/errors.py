"""What goes wrong in discovery, as types.

DhtError
├── LocalDhtError      the caller asked for something that discovery forbids, or the socket cannot be had
└── RemoteDhtError     bytes or records from a peer break the rules: dropped and counted, never raised to the caller
"""


class DhtError(Exception):
    """Root of everything that this package raises."""


class LocalDhtError(DhtError):
    """This side used discovery wrongly, or this machine refuses the address; the text says what to change."""


class RemoteDhtError(DhtError):
    """A peer sent what the protocol forbids.

    `code` is the short stable word under which it is counted (`malformed`, `wrong_network`, `expired`, ...).
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
