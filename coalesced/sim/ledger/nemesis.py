"""An adversary that reads every replica's memory and harms the network or the machines at the worst moment.

It never forges and never touches a replica's mind: a correct core must survive all that it does. It rests after GST.
"""

from abc import ABC, abstractmethod
from random import Random
from typing import Final

from coalesced.sim.ledger.node import Node
from coalesced.sim.ledger.scenarios import NemesisKind
from node.ledger.pbft.state import Stage
from protocol.consensus import AnyConsensus, NewView, Proposal, Vote


class Nemesis(ABC):
    """Says which messages pass; looks on after every step of a replica."""

    def __init__(self, nodes: list[Node], rng: Random) -> None:
        self.nodes = nodes
        self.rng = rng
        self.cut_until_s: dict[int, float] = {}

    def passes(self, sender: Node, receiver: Node, message: AnyConsensus, now_s: float) -> bool:
        """Whether this message gets through."""
        if any(self.cut_until_s.get(node.index, 0.0) > now_s for node in (sender, receiver)):
            return False
        return self.lets(sender, receiver, message)

    def cut(self, node: Node, now_s: float) -> None:
        """Separate a replica from everybody for some seconds."""
        self.cut_until_s[node.index] = now_s + self.rng.uniform(3.0, 10.0)

    @abstractmethod
    def lets(self, sender: Node, receiver: Node, message: AnyConsensus) -> bool:
        """Whether a message between two that are not cut off gets through."""

    @abstractmethod
    def look(self, node: Node, now_s: float) -> None:
        """A replica has made a step."""

    def one(self) -> Node:
        """Any replica that runs."""
        return self.rng.choice([node for node in self.nodes if node.is_up] or self.nodes)


def _holder(nodes: list[Node], key: bytes) -> Node | None:
    """The honest node with this key, if there is one."""
    return next((node for node in nodes if node.key == key), None)


class OneCommits(Nemesis):
    """COMMITs reach one replica only; once it has committed, it is cut off and the others have to find out."""

    def __init__(self, nodes: list[Node], rng: Random) -> None:
        super().__init__(nodes, rng)
        self.chosen = self.one()
        self.height = self.chosen.height
        self.rests_until_s = 0.0
        self.now_s = 0.0

    def lets(self, sender: Node, receiver: Node, message: AnyConsensus) -> bool:
        """COMMITs to the chosen one; to all while resting."""
        is_commit = isinstance(message, Vote) and message.phase == "commit"
        return not is_commit or receiver is self.chosen or self.now_s < self.rests_until_s

    def look(self, node: Node, now_s: float) -> None:
        """Cut it off when it has committed, and choose another for the time after."""
        self.now_s = now_s
        if node is self.chosen and node.height > self.height and now_s >= self.rests_until_s:
            self.cut(node, now_s)
            self.rests_until_s = now_s + self.rng.choice((0.0, 6.0, 12.0))
            self.chosen = self.one()
            self.height = max(other.height for other in self.nodes)


class FewPrepare(Nemesis):
    """PREPAREs reach few, so that different blocks are prepared at different replicas in different views."""

    def __init__(self, nodes: list[Node], rng: Random) -> None:
        super().__init__(nodes, rng)
        self._choose()

    def _choose(self) -> None:
        self.few = set(self.rng.sample([node.index for node in self.nodes], self.rng.randrange(1, 3)))
        self.patience = self.rng.randrange(2, 8)

    def lets(self, sender: Node, receiver: Node, message: AnyConsensus) -> bool:
        """PREPAREs to the few; COMMITs now and then; a NEW-VIEW's own votes as they come."""
        if not isinstance(message, Vote):
            return True
        if message.phase == "commit":
            return self.rng.random() < 0.4
        return receiver.index in self.few

    def look(self, node: Node, now_s: float) -> None:
        """When one of the few has prepared, cut it or the primary off, and choose others."""
        if node.core is None or node.core.replica.stage is not Stage.COMMITTING or node.index not in self.few:
            return
        self.patience -= 1
        primary = node.core.replica.committee.primary(node.core.replica.view)
        harmed = node if self.rng.random() < 0.5 else _holder(self.nodes, primary) or node
        self.cut(harmed, now_s)
        self._choose()


class CrashOnVote(Nemesis):
    """Machines lose power in the middle of voting, between what they write down and what they send."""

    def lets(self, sender: Node, receiver: Node, message: AnyConsensus) -> bool:
        """After a proposal or COMMIT has passed, its receiver may be about to fall. Some messages are lost too."""
        if isinstance(message, Proposal | NewView | Vote) and receiver.is_up and self.rng.random() < 0.04:
            receiver.effects_until_crash = self.rng.randrange(0, 5)
        return self.rng.random() < 0.9

    def look(self, node: Node, now_s: float) -> None:
        """The world starts it again."""


class LostLeader(Nemesis):
    """Who is to lead next is cut off, or its NEW-VIEW reaches few: views pass in which nothing is prepared."""

    def lets(self, sender: Node, receiver: Node, message: AnyConsensus) -> bool:
        """A NEW-VIEW reaches some; what follows from it often nobody."""
        if isinstance(message, NewView):
            return self.rng.random() < 0.6
        if isinstance(message, Vote):
            return self.rng.random() < 0.8
        return True

    def look(self, node: Node, now_s: float) -> None:
        """Whoever is asked for falls silent, mostly; and a primary at random moments."""
        if node.core is None:
            return
        r = node.core.replica
        chance = 0.3 if r.stage is Stage.CHANGING else 0.05 if r.stage is Stage.COMMITTING else 0.0
        if self.rng.random() < chance:
            self.cut(_holder(self.nodes, r.committee.primary(r.view)) or node, now_s)


NEMESES: Final[dict[NemesisKind, type[Nemesis]]] = {
    "one_commits": OneCommits,
    "few_prepare": FewPrepare,
    "crash_on_vote": CrashOnVote,
    "lost_leader": LostLeader,
}
