"""What must hold in every run, checked from outside at every effect.

Agreement, hash chain, validity, no transaction twice, no honest double vote (across crashes too), no vote below a view
that was asked for, nothing sent before it is written down, nothing announced is lost, equal state roots, no honest
member accused or charged, nobody halted. A loss of power may take a replica's last blocks: then it commits the same
ones again. Liveness after GST is the world's to check.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from coalesced.sim.ledger.machine import KeyValues, Values
from coalesced.sim.ledger.node import Genesis, Node
from node.ledger.pbft.effects import Broadcast, Commit, Effect, Evidence, Halt, Install, Offence, Send
from node.ledger.pbft.opened import open_certificate, open_equivocation
from node.ledger.pbft.quorum import quorum
from protocol.consensus import (
    AnyConsensus,
    NewView,
    Phase,
    Proposal,
    ViewChange,
    Vote,
    block_hash,
    decode_ballot,
    decode_change,
    decode_header,
)
from protocol.errors import RemoteProtocolError


@dataclass(slots=True)
class Rules:
    """One world's. `violations` stays empty, or the run has failed."""

    genesis: Genesis
    dishonest: Collection[bytes]
    """Keys whose holders lie, twins among them."""
    violations: list[str] = field(default_factory=list)
    submitted: set[bytes] = field(default_factory=set)
    blocks: dict[int, bytes] = field(default_factory=dict)
    """The agreed hash of every height."""
    states: dict[int, Values] = field(default_factory=dict)
    """As this class's own execution gives them."""
    installed: dict[int, Values] = field(default_factory=dict)
    """Of heights whose block no honest replica had committed when another one got the state after it."""
    announced: dict[int, int] = field(default_factory=dict)
    """The highest block that each node has announced."""
    voted: dict[tuple[bytes, Phase, int, int], bytes] = field(default_factory=dict)
    asked: dict[tuple[bytes, int], int] = field(default_factory=dict)
    accused: set[bytes] = field(default_factory=set)
    """Those against whom there is evidence."""

    def violated(self, text: str) -> None:
        """Note once what must not be."""
        if text not in self.violations:
            self.violations.append(text)

    def watch(self, node: Node, effect: Effect[Values]) -> None:
        """Look at one effect before it is carried out."""
        if node.key in self.dishonest:
            return
        match effect:
            case Commit():
                self._committed(node, effect)
            case Install():
                self._installed(node, effect)
            case Send(message=message) | Broadcast(message=message):
                self._sent(node, message)
            case Evidence(equivocation=equivocation):
                accused = equivocation.first.signer
                self.accused.add(accused)
                try:
                    open_equivocation(equivocation)
                except RemoteProtocolError as error:
                    self.violated(f"evidence that proves nothing: {error}")
                if accused not in self.dishonest:
                    self.violated("evidence against an honest member")
            case Offence(peer=peer, error=error):
                if peer not in self.dishonest:
                    self.violated(f"an honest peer is charged: {error}")
            case Halt(reason=reason):
                self.violated(f"node {node.index} halted: {reason}")
            case _:
                pass

    def _committed(self, node: Node, commit: Commit[Values]) -> None:
        header, machine = commit.block.header, KeyValues()
        height, agreed = header.height, self.blocks.setdefault(header.height, commit.block.hash)
        if commit.block.hash != agreed:
            self.violated(f"agreement: two blocks at height {height}")
            return
        if height != node.height + 1:
            self.violated(f"node {node.index} committed height {height} after {node.height}")
        self.announced[node.index] = max(height, self.announced.get(node.index, 0))
        before = self.states.get(height - 1, self.genesis.state if height == 1 else None)
        if before is None:
            self.violated(f"height {height} was committed before {height - 1}")
            return
        if height not in self.states:
            self._valid(height, before, commit)
        if machine.root(commit.state) != header.state_root or commit.state != self.states.get(height):
            self.violated(f"state roots: node {node.index} has another state at height {height}")

    def _installed(self, node: Node, install: Install[Values]) -> None:
        height = decode_header(install.header).height
        # A liar's core may have been the first to commit that block: then the state is compared once an honest one has.
        agreed = self.blocks.setdefault(height, block_hash(install.header))
        known = self.states.get(height) or self.installed.setdefault(height, install.state)
        if block_hash(install.header) != agreed or install.state != known:
            self.violated(f"node {node.index} installed a state that is not everybody's at height {height}")
        if height <= node.height:
            self.violated(f"node {node.index} installed height {height} at {node.height}")
        self.announced[node.index] = max(height, self.announced.get(node.index, 0))

    def _valid(self, height: int, before: Values, commit: Commit[Values]) -> None:
        header, machine = commit.block.header, KeyValues()
        if header.previous != self.blocks.get(height - 1, self.genesis.chain):
            self.violated(f"hash chain: block {height} does not name the one before it")
        txs = commit.block.block.txs
        if strangers := [tx for tx in txs if tx not in self.submitted]:
            self.violated(f"validity: nobody submitted {strangers[0]!r}")
        if any(machine.tx_id(tx) in before.applied for tx in txs) or len(set(txs)) != len(txs):
            self.violated(f"a transaction twice in or before block {height}")
            return
        try:
            certificate = open_certificate(commit.certificate.certificate, "commit")
        except RemoteProtocolError as error:
            self.violated(f"block {height} has a bad certificate: {error}")
            return
        members = set(before.members)
        enough = len(set(certificate.signers) & members) >= quorum(len(members))
        if certificate.ballot.block != commit.block.hash or not enough:
            self.violated(f"block {height} has no q COMMITs")
        self.states[height] = machine.apply(before, txs, height=height, time_unix_ms=header.time_unix_ms)
        if self.installed.get(height, self.states[height]) != self.states[height]:
            self.violated(f"the state installed at height {height} is not the one that its block leads to")

    def _sent(self, node: Node, message: AnyConsensus) -> None:
        match message:
            case Vote():
                self._voted(node, message)
            case Proposal(vote=vote) if vote.signer == node.key:
                self._voted(node, vote)
            case NewView(vote=Vote() as vote) if vote.signer == node.key:
                self._voted(node, vote)
            case ViewChange(change=change) if change.signer == node.key:
                terms = decode_change(change.terms)
                asked = self.asked.get((node.key, terms.height), 0)
                self.asked[node.key, terms.height] = max(asked, terms.view)
                if ("view", terms.height, terms.view, b"") not in node.disk.said:
                    self.violated(f"node {node.index} asked for view {terms.view} before that was written down")
            case _:
                pass

    def _voted(self, node: Node, vote: Vote) -> None:
        ballot = decode_ballot(vote.ballot)
        before = self.voted.setdefault((node.key, vote.phase, ballot.height, ballot.view), ballot.block)
        if before != ballot.block:
            self.violated(f"node {node.index} voted twice: {vote.phase} {ballot.height}/{ballot.view}")
        if (vote.phase, ballot.height, ballot.view, ballot.block) not in node.disk.said:
            self.violated(f"node {node.index} sent a {vote.phase} before it was written down")
        if ballot.view < self.asked.get((node.key, ballot.height), 0):
            self.violated(f"node {node.index} voted in view {ballot.view} of {ballot.height} after leaving it")

    def restarted(self, node: Node) -> None:
        """After a start: what the node announced is still there, unless it lost power or its disk."""
        if node.has_lost:
            node.has_lost, self.announced[node.index] = False, node.height
        if node.key not in self.dishonest and node.height < self.announced.get(node.index, 0):
            self.violated(f"node {node.index} lost block {self.announced[node.index]}, which it had announced")
