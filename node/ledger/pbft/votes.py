"""The PREPAREs and COMMITs of one height: counted by signer, the first of each signer, phase and view."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from node.ledger.pbft.opened import OpenCertificate, OpenVote
from node.ledger.pbft.quorum import Committee
from protocol.consensus import Certificate, Equivocation, Phase, Seal

VIEWS_KEPT = 4
"""Of each signer and phase, the highest views: an honest one votes in few, a liar must not fill the memory."""


@dataclass(slots=True)
class Votes:
    """All of one height. What it returns is in the order of arrival, so that equal runs stay equal."""

    _first: dict[tuple[Phase, int], dict[bytes, OpenVote]] = field(default_factory=dict)
    _reported: set[tuple[bytes, Phase, int]] = field(default_factory=set)

    def add(self, vote: OpenVote) -> Equivocation | None:
        """File a member's vote of this height. A second one for another block counts nothing and is evidence, once."""
        signer, phase, view = vote.vote.signer, vote.vote.phase, vote.ballot.view
        first = self._first.setdefault((phase, view), {}).setdefault(signer, vote)
        if first.ballot.block != vote.ballot.block:
            if (signer, phase, view) in self._reported:
                return None
            self._reported.add((signer, phase, view))
            return Equivocation(first=first.vote, second=vote.vote)
        self._forget_low_views(signer, phase)
        return None

    def _forget_low_views(self, signer: bytes, phase: Phase) -> None:
        views = sorted(view for (kind, view), votes in self._first.items() if kind == phase and signer in votes)
        for view in views[:-VIEWS_KEPT]:
            del self._first[phase, view][signer]
            if not self._first[phase, view]:
                del self._first[phase, view]
            self._reported.discard((signer, phase, view))

    def is_voted_on(self, view: int, committee: Committee) -> bool:
        """Whether the primary of `view` voted in it, or f + 1 members: fewer may vote for what nobody proposed."""
        voters = {*self._first.get(("prepare", view), ()), *self._first.get(("commit", view), ())}
        return committee.primary(view) in voters or len(voters) > committee.f

    def certificate(self, phase: Phase, view: int, block: bytes, committee: Committee) -> OpenCertificate | None:
        """The votes for `block` in `view`, if they are q."""
        votes = [vote for vote in self._first.get((phase, view), {}).values() if vote.ballot.block == block]
        if not committee.has_quorum(vote.vote.signer for vote in votes):
            return None
        # Those of members only, and not more than needed.
        chosen = [vote for vote in votes if vote.vote.signer in committee][: committee.q]
        seals = tuple(Seal(signer=vote.vote.signer, signature=vote.vote.signature) for vote in chosen)
        certificate = Certificate(ballot=chosen[0].vote.ballot, seals=seals)
        return OpenCertificate(certificate, phase, chosen[0].ballot, tuple(seal.signer for seal in seals))

    def committed(self, committee: Committee) -> Iterator[OpenCertificate]:
        """Every block with q COMMITs of one view; more than one only when more than f members lie."""
        for (phase, view), votes in list(self._first.items()):
            if phase != "commit":
                continue
            for block in dict.fromkeys(vote.ballot.block for vote in votes.values()):
                if certificate := self.certificate("commit", view, block, committee):
                    yield certificate
