"""Members that say less than they should, or say it late."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from coalesced.testnet.byzantine.conduct import Conduct, Outgoing
from node.ledger.pbft.state import S
from protocol.consensus import Vote

LATE_S: Final = (0.2, 2.5)
"""About the first time-out of a view: some of what it says is in time, some is not, and it overtakes itself."""


class Silent(Conduct[S]):
    """Hears everything and says nothing."""

    def twist(self, outgoing: Sequence[Outgoing]) -> Iterator[Outgoing]:
        """Nothing."""
        yield from ()


class VoteWithholder(Conduct[S]):
    """Takes part in everything, proposes when it is its turn, and never votes for what others propose."""

    def twist(self, outgoing: Sequence[Outgoing]) -> Iterator[Outgoing]:
        """All but PREPAREs and COMMITs."""
        yield from (out for out in outgoing if not isinstance(out.message, Vote))


class Slow(Conduct[S]):
    """Says what an honest one says, each message so late that waiting for it costs more than going on without."""

    def twist(self, outgoing: Sequence[Outgoing]) -> Iterator[Outgoing]:
        """Everything, later."""
        yield from (replace(out, after_s=self.rng.uniform(*LATE_S)) for out in outgoing)
