"""An adversary that reads every replica's memory and harms the network or the machines at the worst moment.

It never forges and never touches a replica's mind: a correct core must survive all that it does. It rests after GST.
"""

from abc import ABC, abstractmethod
from random import Random
from typing import Final

from coalesced.sim.ledger.node import Node
from coalesced.sim.ledger.scenarios import NemesisKind
from node.ledger.pbft.opened import OpenNewView, OpenProposal, OpenVote, Verified
from node.ledger.pbft.state import Stage


class Nemesis(ABC):
    """Says which messages pass; looks on after every step of a replica."""

    def __init__(self, nodes: list[Node], rng: Random) -> None:
        self.nodes = nodes
        self.rng = rng
        self.now_s = 0.0
        self.cut_until_s: dict[int, float] = {}
        self.calm_until_s = 0.0
        """Until then everything passes, so that there is something to be harmed again."""

    def passes(self, sender: Node, receiver: Node, message: Verified, now_s: float) -> bool:
        """Whether this message gets through."""
        self.now_s = now_s
        if any(self.cut_until_s.get(node.index, 0.0) > now_s for node in (sender, receiver)):
            return False
        return now_s < self.calm_until_s or self.lets(receiver, message)

    def look(self, node: Node, now_s: float) -> None:
        """A replica has made a step."""
        self.now_s = now_s
        if now_s >= self.calm_until_s:
            self.act(node)

    def cut(self, node: Node, for_s: float) -> None:
        """Separate a replica from everybody."""
        self.cut_until_s[node.index] = self.now_s + for_s

    def one(self, *but: Node) -> Node:
        """Any replica but these."""
        return self.rng.choice([node for node in self.nodes if node not in but])

    @abstractmethod
    def lets(self, receiver: Node, message: Verified) -> bool:
        """Whether a message between two that are not cut off gets through."""

    @abstractmethod
    def act(self, node: Node) -> None:
        """This replica has made a step, and it is not calm."""


class OneCommits(Nemesis):
    """COMMITs reach one replica only; when it has committed it is cut off, and the others have to find out.

    The base of those that go on from there.
    """

    def __init__(self, nodes: list[Node], rng: Random) -> None:
        super().__init__(nodes, rng)
        self.lost = (0, -1)
        """No COMMIT of this height gets through in this view or a lower one."""
        self.begin()

    def begin(self) -> None:
        """Choose whom the COMMITs reach."""
        self.chosen, self.is_done = self.one(), False
        self.height = max(node.height for node in self.nodes)

    def lets(self, receiver: Node, message: Verified) -> bool:
        """COMMITs to the chosen one; once it has committed, those of later views to all."""
        if not isinstance(message, OpenVote) or message.vote.phase != "commit":
            return True
        if self.is_done:
            return message.ballot.height != self.lost[0] or message.ballot.view > self.lost[1]
        return receiver is self.chosen

    def act(self, node: Node) -> None:
        """Notice that the chosen one has committed."""
        if node is self.chosen and not self.is_done and node.height > self.height:
            if not node.disk.blocks:  # it took a certified state over, and committed nothing itself
                self.begin()
                return
            self.is_done, self.lost = True, (node.height, node.disk.blocks[-1].certificate.ballot.view)
            self.cut(node, self.rng.uniform(6.0, 14.0))
            self.committed()
        elif self.is_done and min(other.height for other in self.nodes) >= self.lost[0]:
            self.calm_until_s = self.now_s + self.rng.uniform(0.0, 2.0)
            self.begin()

    def committed(self) -> None:
        """One has committed and is gone."""


class FewPrepare(OneCommits):
    """One replica prepares a block and is cut off; another block is prepared in a later view and committed by one,
    which is cut off too; then the first one comes back with what it prepared."""

    def begin(self) -> None:
        """Choose who is to prepare alone."""
        super().begin()
        self.alone: Node | None = self.one(self.chosen)
        self.prepared = (0, -1)
        """No PREPARE of this height gets through in this view or a lower one."""

    def lets(self, receiver: Node, message: Verified) -> bool:
        """PREPAREs reach one replica, until it has prepared."""
        if not isinstance(message, OpenVote):
            return True
        if self.alone is not None:
            return message.vote.phase == "prepare" and receiver is self.alone
        if message.vote.phase == "prepare":
            return message.ballot.height != self.prepared[0] or message.ballot.view > self.prepared[1]
        return super().lets(receiver, message)

    def act(self, node: Node) -> None:
        """Cut off the one that has prepared, for about as long as a view change takes."""
        if node is self.alone and node.core is not None and node.core.replica.stage is Stage.COMMITTING:
            self.alone, self.prepared = None, (node.core.replica.height, node.core.replica.view)
            self.cut(node, self.rng.uniform(3.0, 5.0))
        elif self.alone is None:
            super().act(node)


class LostLeader(OneCommits):
    """After one has committed, views pass in which the NEW-VIEW is lost, or nothing is prepared."""

    def begin(self) -> None:
        """Choose how many views are to be empty, and how."""
        super().begin()
        self.empty = self.rng.randrange(1, 3)
        self.loses_new_view = self.rng.random() < 0.5

    def lets(self, receiver: Node, message: Verified) -> bool:
        """Nothing of the views that are to be empty."""
        if self.is_done:
            last = self.lost[1] + self.empty
            if isinstance(message, OpenVote) and message.ballot.height == self.lost[0]:
                return message.ballot.view > last
            if isinstance(message, OpenNewView) and self.loses_new_view:
                return message.changes[0].terms.view > last
        return super().lets(receiver, message)

    def committed(self) -> None:
        """The one that knows stays away longer."""
        self.cut(self.chosen, self.rng.uniform(10.0, 18.0))


class CrashOnVote(OneCommits):
    """Machines lose power while they vote, between what they write down and what they send; now and then all at once,
    after one has committed and is gone."""

    def begin(self) -> None:
        """Choose which of the two."""
        super().begin()
        self.falls_together = self.rng.random() < 0.5

    def lets(self, receiver: Node, message: Verified) -> bool:
        """A vote may be the last thing that its receiver sees."""
        if self.falls_together:
            return super().lets(receiver, message)
        if isinstance(message, OpenVote | OpenProposal | OpenNewView) and self.rng.random() < 0.04:
            receiver.effects_until_crash, receiver.is_power = self.rng.randrange(0, 5), True
        return self.rng.random() < 0.9

    def act(self, node: Node) -> None:
        """Go on as long as one of the two is under way."""
        if self.falls_together:
            super().act(node)
        elif self.rng.random() < 0.01:
            self.begin()

    def committed(self) -> None:
        """All others fall with their next step."""
        for node in self.nodes:
            if node is not self.chosen:
                node.effects_until_crash, node.is_power = 0, True


NEMESES: Final[dict[NemesisKind, type[Nemesis]]] = {
    "one_commits": OneCommits,
    "few_prepare": FewPrepare,
    "crash_on_vote": CrashOnVote,
    "lost_leader": LostLeader,
}
