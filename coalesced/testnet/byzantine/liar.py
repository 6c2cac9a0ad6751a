"""A member that lies with its own key, beside doing what an honest one does, so that it stays in the game."""

from collections.abc import Iterator, Sequence

import msgspec

from coalesced.testnet.byzantine import forge
from coalesced.testnet.byzantine.conduct import Conduct, Outgoing, Situation
from node.ledger.pbft.state import S
from protocol.consensus import (
    AnyConsensus,
    Blocks,
    Committed,
    NewView,
    Pieces,
    Proposal,
    Snapshot,
    Status,
    ViewChange,
    Vote,
    block_hash,
    decode_ballot,
    decode_header,
)

LIE_CHANCE = 0.35
MAX_HEARD = 60


class Liar(Conduct[S]):
    """Says mostly the same as an honest one, to some something else: forged votes, heights, proofs and blocks."""

    def __init__(self, situation: Situation[S]) -> None:
        super().__init__(situation)
        self.heard: list[AnyConsensus] = []

    def hear(self, sender: bytes, message: AnyConsensus) -> None:
        """Remember what may be worth repeating to others."""
        self.heard.append(message)
        if len(self.heard) > MAX_HEARD:
            self.heard.pop(self.rng.randrange(MAX_HEARD))

    def twist(self, outgoing: Sequence[Outgoing]) -> Iterator[Outgoing]:
        """What it sends instead."""
        keys = self.situation.known()
        for out in outgoing:
            if self.rng.random() > LIE_CHANCE:
                yield out
                continue
            lie, believers = self._other(out.message), self.rng.choice((0.5, 0.5, 1.0))
            for key in keys:
                if key == self.identity.public_key or (out.to is not None and key != out.to):
                    continue
                if self.rng.random() < believers:
                    yield Outgoing(lie, key)
                elif self.rng.random() < 0.8:
                    yield Outgoing(out.message, key)
            if self.rng.random() < 0.3:
                yield Outgoing(self._nonsense(), self.rng.choice(keys))
            if self.heard and self.rng.random() < 0.3:
                yield Outgoing(self.rng.choice(self.heard), self.rng.choice(keys))

    def _other(self, message: AnyConsensus) -> AnyConsensus:
        """Something else of the same kind."""
        match message:
            case Proposal(block=block, vote=vote):
                return forge.proposal(self.identity, self.rival(block), decode_ballot(vote.ballot).view)
            case Vote(phase=phase, ballot=ballot):
                voted = decode_ballot(ballot)
                other = self.rng.choice(self._hashes() or [bytes(32)])
                if self.rng.random() < 0.4:  # a COMMIT for what nobody has prepared
                    phase, other = "commit", voted.block
                height = voted.height + self.rng.choice((0, 0, 0, 1))
                return forge.vote(self.identity, phase, voted.chain, height, voted.view, other)
            case ViewChange():
                return self._view_change()
            case NewView(changes=changes):
                return NewView(changes=changes[: self.rng.randrange(1, len(changes) + 1)])
            case Status(height=height, view=view):
                return Status(height=height + self.rng.choice((-1, 1, 50)) if height else 7, view=view)
            case Snapshot(outline=outline):
                cut = self.rng.choice((b"", outline[:-32], outline[32:] + outline[:32]))
                return msgspec.structs.replace(message, outline=cut)
            case Pieces(pieces=pieces):
                return Pieces(pieces=tuple(self.rng.choice((piece[:-1] + b"?", b"?")) for piece in pieces))
            case Blocks(head_height=head_height) if self.rng.random() < 0.5:
                return Blocks(first_height=head_height + 9, head_height=head_height + 99, blocks=())
            case _:
                return self._nonsense()

    def _nonsense(self) -> AnyConsensus:
        core = self.situation.core()
        if core is None or self.rng.random() < 0.5:
            return self._view_change()
        r = core.replica
        blocks = [message.block for message in self.heard if isinstance(message, Proposal)]
        if not blocks:
            return Status(height=r.height + 3, view=0)
        made = self.rival(self.rng.choice(blocks))
        return Blocks(
            first_height=1,
            head_height=r.height + 5,
            blocks=(forge.committed([self.identity], made, r.view), *self._true_blocks()),
        )

    def _true_blocks(self) -> tuple[Committed, ...]:
        heard = [message for message in self.heard if isinstance(message, Blocks)]
        return heard[-1].blocks if heard else ()

    def _view_change(self) -> ViewChange:
        core = self.situation.core()
        height, view = (core.replica.height, core.replica.view) if core is not None else (1, 1)
        height = max(1, height + self.rng.choice((-1, 0, 0, 0, 1, 90)))
        view += self.rng.choice((0, 1, 1, 2, 1000))
        chain, identity = self.situation.chain, self.identity
        blocks = [message.block for message in self.heard if isinstance(message, Proposal)]
        if not blocks or view < 1 or self.rng.random() < 0.5:
            return forge.view_change(identity, chain, height, view)
        made = self.rival(self.rng.choice(blocks))
        header, hash_ = decode_header(made.header), block_hash(made.header)
        proof = forge.certificate([identity], "prepare", chain, header.height, view - 1, hash_)
        return forge.view_change(identity, chain, header.height, view, (view - 1, hash_), proof, made)

    def _hashes(self) -> list[bytes]:
        return [decode_ballot(message.ballot).block for message in self.heard if isinstance(message, Vote)]
