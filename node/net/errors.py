"""What goes wrong between two nodes.

NodeError
└── NetError                    a peer could not be reached or did not answer
    ├── ListenError             this node's own address cannot be used
    ├── DialError               no session could be opened: unreachable, silent, another version, network or key
    ├── SessionClosed           the session ended before the answer came
    └── RemoteRefused           the peer answered that it will not; carries its code and text
Refusal                         raised by a handler: answered to the peer as an error with this code and text
StreamClosed                    the connection under a session is gone; becomes SessionClosed above it
"""

from node.errors import NodeError


class NetError(NodeError):
    """A peer could not be reached or did not answer."""

    code = "unreachable"


class ListenError(NetError):
    """This node cannot listen on the address that it was given."""

    code = "listen"


class DialError(NetError):
    """No session could be opened to this peer; the text says with whom and why."""


class SessionClosed(NetError):
    """The session ended before the answer came."""

    code = "session_closed"


class RemoteRefused(NetError):
    """The peer answered with an error: `code` is a stable word (busy, deadline, ...), `text` is for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"the peer refused ({code}): {text}")
        self.code = code
        self.text = text


class Refusal(Exception):
    """What a handler raises to answer with an error."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class StreamClosed(Exception):
    """No more frames will come or go; the text is the reason, as far as it is known."""
