"""Writes down which votes a hostile member was sent, so that a member which only claims to be honest is found out.

One line a vote, in the home of the member: `phase height view block signer`, hashes and keys in hexadecimal. Who looks
for two votes of one signer, phase, height and view for different blocks reads the files of all who wrote one.
"""

from pathlib import Path
from typing import Final

from node.ledger.pbft.opened import open_vote
from protocol.consensus import AnyConsensus, NewView, Proposal, Vote
from protocol.errors import RemoteProtocolError

FILE: Final = "votes-heard.txt"
MAX_VOTES: Final = 500_000
"""About 100 MB. What comes later is not written down."""


class Witness:
    """Appends to one file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="ascii", buffering=1)
        self._count = 0
        self._last: dict[tuple[bytes, str], bytes] = {}

    def hear(self, message: AnyConsensus) -> None:
        """Write down the signed vote in a message, if there is one and its signature is right."""
        match message:
            case Vote():
                vote: Vote | None = message
            case Proposal(vote=vote) | NewView(vote=vote):
                pass
            case _:
                vote = None
        # Repetitions come often; the latest vote of each member is enough to leave most of them out.
        if vote is None or self._last.get((vote.signer, vote.phase)) == vote.ballot or self._count >= MAX_VOTES:
            return
        try:
            ballot = open_vote(vote).ballot
        except RemoteProtocolError:
            return
        self._last[vote.signer, vote.phase] = vote.ballot
        self._count += 1
        self._file.write(f"{vote.phase} {ballot.height} {ballot.view} {ballot.block.hex()} {vote.signer.hex()}\n")
