"""What a seller has shown, and what a security budget asks of that: which claim, on whose word, how fresh. Pure."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated, Final

from msgspec import Meta

from node.decision.checked import Checked, Seconds
from node.views.base import Proof
from node.wording import duration

SAME_SKILL: Final = "skill"
"""The claim about the very skill that a task is for."""
KINDS: Final[dict[Proof, tuple[str, ...]]] = {
    "certificate": ("skill:", "resource:"),
    "at-least": ("resource:",),
    "attestation": ("compute", "memory"),
}
"""What each kind of proof can be about."""
NAMES: Final[dict[Proof, str]] = {
    "certificate": "a believed certificate",
    "at-least": "an at-least proof",
    "attestation": "an attestation",
}
Pattern = Annotated[str, Meta(min_length=1, max_length=128)]
Amount = Annotated[float, Meta(ge=0, le=1e12)]


class Evidence(Checked, frozen=True, kw_only=True):
    """One thing that a seller showed to this node."""

    proof: Proof
    claim: str
    """`skill:LABEL`, `resource:NAME`, `compute`, `memory`; empty where that was not kept."""
    by: str = ""
    """The did:key of whoever attests it; empty where this node measured it itself."""
    amount: Amount = 0.0
    """Share of test items done right (0 where it was not tested); units of the resource; billions of operations a
    second; MiB."""
    age_s: Seconds = 0.0


class Need(Checked, frozen=True, kw_only=True):
    """What a seller must have shown. What is left out sets no limit."""

    proof: Proof
    claim: Pattern = "*"
    """A pattern of what it is about; `skill` is the skill that the task is for."""
    by: Annotated[tuple[Pattern, ...], Meta(max_length=16)] = ()
    """did:keys of whom it must come from, with * for anything; among those that this node believes for it."""
    within_s: Annotated[float, Meta(gt=0, le=366 * 86_400)] | None = None
    """How long ago at most; `security.proof_life_s` holds beside it."""
    at_least: Amount = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        kinds = KINDS[self.proof]
        is_whole = self.claim == "*" or (self.claim == SAME_SKILL and self.proof == "certificate")
        is_known = self.claim in kinds if self.proof == "attestation" else self.claim.startswith(kinds)
        if not (is_whole or is_known):
            what = NAMES[self.proof]
            raise ValueError(f"claim {self.claim!r} is nothing that {what} is about: {_allowed(self.proof)}")
        if self.by and self.proof == "attestation":
            raise ValueError("by: an attestation is what this node itself measures; leave `by` out")
        for pattern in self.by:
            if not pattern.startswith("did:key:") and "*" not in pattern:
                raise ValueError(f"by: {pattern!r} is no did:key: write did:key:z6Mk..., or a pattern with *")

    def is_met(self, evidence: Iterable[Evidence], skill: str) -> bool:
        """Whether one thing that was shown is enough, for a task of this skill."""
        return any(self._covers(one, skill) for one in evidence)

    def _covers(self, shown: Evidence, skill: str) -> bool:
        claim = f"skill:{skill}" if self.claim == SAME_SKILL else None
        return (
            shown.proof == self.proof
            and (shown.claim == claim if claim is not None else fnmatchcase(shown.claim, self.claim))
            and (not self.by or any(fnmatchcase(shown.by, pattern) for pattern in self.by))
            and (self.within_s is None or shown.age_s <= self.within_s)
            and shown.amount >= self.at_least
        )

    def in_words(self, skill: str) -> str:
        """It, as the object of a sentence."""
        claim = f"skill:{skill}" if self.claim == SAME_SKILL else self.claim
        about = "" if claim == "*" else f" of {claim}" if self.proof == "attestation" else f" about {claim}"
        least = f", at least {self.at_least:g}" if self.at_least else ""
        by = f" by {' or '.join(self.by)}" if self.by else ""
        within = f" within {duration(self.within_s)}" if self.within_s is not None else ""
        return f"{NAMES[self.proof]}{about}{least}{by}{within}"


def _allowed(proof: Proof) -> str:
    match proof:
        case "certificate":
            return "write skill (that of the task), skill:LABEL, resource:NAME, with * for anything"
        case "at-least":
            return "write resource:NAME, with * for anything"
        case "attestation":
            return "write compute or memory"
