"""The one error of the chain's rules."""

from protocol.errors import RemoteProtocolError


class Refused(RemoteProtocolError):
    """A transaction that the rules forbid in this state; the text says which rule, which value, which limit."""

    def __init__(self, text: str) -> None:
        super().__init__("refused_transaction", text)
