"""A member that tells one thing to one half of the others, and another thing to the other half."""

from collections.abc import Iterator, Sequence

from coalesced.testnet.byzantine import forge
from coalesced.testnet.byzantine.conduct import Conduct, Outgoing, Situation
from node.ledger.pbft.state import S
from protocol.consensus import AnyConsensus, Proposal, Vote, block_hash, decode_ballot, decode_header


class Equivocator(Conduct[S]):
    """Two blocks as a primary, two votes as a backup, and whoever was told one hears nothing of the other."""

    def __init__(self, situation: Situation[S]) -> None:
        super().__init__(situation)
        self._height = 0
        self._rivals: dict[int, bytes] = {}
        """Of this height, by view: the block that the other half is told of."""
        self._half: frozenset[bytes] = frozenset()

    def hear(self, sender: bytes, message: AnyConsensus) -> None:
        """Another primary's block has a rival too, if only in this member's votes."""
        if isinstance(message, Proposal):
            ballot = decode_ballot(message.vote.ballot)
            self._arrive(ballot.height)
            self._rivals.setdefault(ballot.view, block_hash(self.rival(message.block).header))

    def twist(self, outgoing: Sequence[Outgoing]) -> Iterator[Outgoing]:
        """Proposals and votes in two versions; all else as it is."""
        for out in outgoing:
            match out.message:
                case Proposal(block=block, vote=vote):
                    view = decode_ballot(vote.ballot).view
                    self._arrive(decode_header(block.header).height)
                    rival = self.rival(block)
                    self._rivals[view] = block_hash(rival.header)
                    yield from self._split(out, forge.proposal(self.identity, rival, view))
                case Vote(phase=phase, ballot=packed):
                    ballot = decode_ballot(packed)
                    self._arrive(ballot.height)
                    other = self._rivals.get(ballot.view, bytes(32))
                    lie = forge.vote(self.identity, phase, ballot.chain, ballot.height, ballot.view, other)
                    yield from self._split(out, lie)
                case _:
                    yield out

    def _arrive(self, height: int) -> None:
        if height > self._height:
            self._height, self._rivals = height, {}
            others = [key for key in self.situation.known() if key != self.identity.public_key]
            self._half = frozenset(self.rng.sample(others, len(others) // 2))

    def _split(self, out: Outgoing, lie: AnyConsensus) -> Iterator[Outgoing]:
        for key in self.receivers(out):
            yield Outgoing(lie if key in self._half else out.message, key)
