"""A member that repeats what it and others said long ago."""

from collections.abc import Iterator, Sequence
from typing import Final

from coalesced.testnet.byzantine.conduct import Conduct, Outgoing, Situation
from node.ledger.pbft.state import S
from protocol.consensus import AnyConsensus

MAX_KEPT: Final = 400
REPEATS: Final = 3
"""A step: enough that most of what the others receive of it is old."""


class Replayer(Conduct[S]):
    """Says what an honest one says, and with it what anybody said at other heights and in other views."""

    def __init__(self, situation: Situation[S]) -> None:
        super().__init__(situation)
        self._kept: list[AnyConsensus] = []

    def hear(self, sender: bytes, message: AnyConsensus) -> None:
        """Keep it."""
        self._keep(message)

    def twist(self, outgoing: Sequence[Outgoing]) -> Iterator[Outgoing]:
        """What its core says, and something old to anybody."""
        for out in outgoing:
            self._keep(out.message)
            yield out
        keys = [key for key in self.situation.known() if key != self.identity.public_key]
        for _ in range(REPEATS if outgoing and self._kept and keys else 0):
            yield Outgoing(self.rng.choice(self._kept), self.rng.choice(keys))

    def _keep(self, message: AnyConsensus) -> None:
        """Among the kept ones are always some of the very first."""
        if len(self._kept) < MAX_KEPT:
            self._kept.append(message)
        else:
            self._kept[self.rng.randrange(MAX_KEPT // 4, MAX_KEPT)] = message
