"""The two ways in which a protocol can be broken: by us, or by the peer.

ProtocolError
├── LocalProtocolError          we asked the protocol for something that it forbids: our bug
└── RemoteProtocolError         the peer sent what the protocol forbids: the session is closed, the peer is charged
"""


class ProtocolError(Exception):
    """Root of everything that this package raises."""


class LocalProtocolError(ProtocolError):
    """This side used the protocol wrongly; a bug here, never the peer's fault."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol.

    `code` is a short stable word for counters and wire errors (`bad_message`, `too_large`,
    `bad_signature`, ...); the text says what was wrong, with which value, against which limit.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
