"""A member whose key runs twice: two honest replicas of one key, each of which knows only some of the others.

After Bano et al., "Twins: BFT Systems Made Robust" (2021): two honest instances of one identity, in different parts of
the network, do what equivocation can do without anybody having to invent it.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from coalesced.testnet.byzantine.conduct import Conduct, Outgoing, Situation
from node.ledger.pbft.core import Core
from node.ledger.pbft.effects import Broadcast, Effect, Send
from node.ledger.pbft.opened import verify
from node.ledger.pbft.state import S
from protocol.consensus import AnyConsensus
from protocol.errors import RemoteProtocolError

STEPS_A_SIDE: Final = 40
"""After so many messages others are on the second replica's side."""


class Twin(Conduct[S]):
    """The node's own core speaks to one side; a second core, which hears and is heard by the other side only, to it.

    The second one keeps nothing on a disk: it begins where the first one is, whenever the process does.
    """

    def __init__(self, situation: Situation[S]) -> None:
        super().__init__(situation)
        self._second: Core[S] | None = None
        self._said: list[Outgoing] = []
        self._side: frozenset[bytes] = frozenset()
        self._steps = 0

    def hear(self, sender: bytes, message: AnyConsensus) -> None:
        """The second replica hears its own side."""
        self._steps += 1
        if self._steps % STEPS_A_SIDE == 1:
            others = [key for key in self.situation.known() if key != self.identity.public_key]
            self._side = frozenset(self.rng.sample(others, self.rng.randrange(len(others) + 1)))
        second = self._awake()
        if second is not None and sender in self._side:
            try:
                verified = verify(message)
            except RemoteProtocolError:
                return
            self._speak(second.step(self.situation.now(), sender, verified))

    def twist(self, outgoing: Sequence[Outgoing]) -> Iterator[Outgoing]:
        """Each replica's words to its own side."""
        second = self._awake()
        if second is not None:
            self._speak(second.tick(self.situation.now()))
        said, self._said = self._said, []
        for out in outgoing:
            yield from (Outgoing(out.message, key) for key in self.receivers(out) if key not in self._side)
        for out in said:
            yield from (Outgoing(out.message, key) for key in self.receivers(out) if key in self._side)

    def _awake(self) -> Core[S] | None:
        """The second replica, begun where the first one is at that moment."""
        first = self.situation.core()
        if self._second is None and first is not None:
            r = first.replica
            self._second = Core(r.identity, r.machine, r.config, chain=r.chain, head=r.head, state=r.state)
        return self._second

    def _speak(self, effects: Sequence[Effect[S]]) -> None:
        for effect in effects:
            match effect:
                case Send(to=to, message=message):
                    self._said.append(Outgoing(message, to))
                case Broadcast(message=message, audience=audience):
                    self._said.append(Outgoing(message, None, audience))
                case _:
                    pass  # nothing of it is durable, and blocks are the first replica's to give
