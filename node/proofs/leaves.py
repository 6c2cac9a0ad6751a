"""What a certificate states, statement by statement: the leaves of its Merkle tree.

    leaf = "coalesced/certificate-leaf/1" 00 | salt, 16 | statement in canonical JSON (RFC 8785)

The salt keeps a hidden leaf hidden: without it, whoever guesses a statement could hash the guess and compare.
A resource becomes a leaf for every tier, whether met or not, so that the size of the tree tells nothing; then one with
a Pedersen commitment to the figure; then one with the figure itself, which its subject may well never show.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from crypto.jcs import JcsError, canonical, parse_canonical
from node.proofs.errors import ProofError
from node.proofs.tiers import MAX_FIGURE, tiers
from protocol.fields import Label, Ppm

SALT_BYTES: Final = 16
MAX_LEAF_BYTES: Final = 512
_DOMAIN: Final = b"coalesced/certificate-leaf/1\x00"

Figure = Annotated[int, Meta(ge=0, le=MAX_FIGURE)]
PointText = Annotated[str, Meta(min_length=64, max_length=64, pattern=r"\A[0-9a-f]{64}\Z")]


class _Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """Base of all statements."""


class SkillStatement(_Statement, frozen=True, kw_only=True, tag="skill"):
    """The subject does this skill; `score_ppm` is the share of hidden test items done right, where it was tested."""

    label: Label
    score_ppm: Ppm | None = None


class FigureStatement(_Statement, frozen=True, kw_only=True, tag="figure"):
    """The subject has this much of a resource, on `host` where it sells for several."""

    name: Label
    value: Figure
    host: Label | None = None


class TierStatement(_Statement, frozen=True, kw_only=True, tag="tier"):
    """Whether the subject has at least so much of a resource."""

    name: Label
    at_least: Figure
    met: bool
    host: Label | None = None


class CommitmentStatement(_Statement, frozen=True, kw_only=True, tag="commitment"):
    """A Pedersen commitment (ristretto255, hexadecimal) to how much of a resource the subject has."""

    name: Label
    point: PointText
    host: Label | None = None


Statement = SkillStatement | FigureStatement | TierStatement | CommitmentStatement


@dataclass(frozen=True, slots=True)
class Claim:
    """What an issuer is about to certify of one resource: a figure, and a commitment to it."""

    name: str
    value: int
    commitment: bytes
    host: str | None = None


def subject_name(statement: Statement) -> str:
    """What a statement is about, as attester policies write it: `skill:LABEL` or `resource:NAME`."""
    match statement:
        case SkillStatement(label=label):
            return f"skill:{label}"
        case FigureStatement(name=name) | TierStatement(name=name) | CommitmentStatement(name=name):
            return f"resource:{name}"


def encode_leaf(statement: Statement, salt: bytes) -> bytes:
    """A leaf's bytes. `salt` is 16 fresh random bytes."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a leaf needs {SALT_BYTES} random bytes, not {len(salt)}")
    plain = msgspec.to_builtins(statement)
    return _DOMAIN + salt + canonical({name: value for name, value in plain.items() if value is not None})


def decode_leaf(leaf: bytes) -> Statement:
    """The statement in a leaf; ProofError when there is none, or it is not in its one form."""
    if len(leaf) > MAX_LEAF_BYTES or not leaf.startswith(_DOMAIN):
        raise ProofError("malformed", "this is not a leaf of a certificate")
    try:
        plain = parse_canonical(leaf[len(_DOMAIN) + SALT_BYTES :])
        statement: Statement = msgspec.convert(plain, Statement)
    except (JcsError, msgspec.ValidationError) as error:
        raise ProofError("malformed", f"a leaf of this certificate cannot be read: {error}") from error
    return statement


def skill_leaves(skills: Mapping[str, int | None], entropy: Callable[[int], bytes]) -> list[bytes]:
    """A leaf for each skill label, with its tested score in ppm, or None where it was not tested."""
    return [
        encode_leaf(SkillStatement(label=label, score_ppm=score), entropy(SALT_BYTES))
        for label, score in sorted(skills.items())
    ]


def resource_leaves(claims: Iterable[Claim], entropy: Callable[[int], bytes]) -> list[bytes]:
    """Every resource's tiers in order, its commitment, its figure."""
    made: list[bytes] = []
    for claim in claims:
        statements: list[Statement] = [
            TierStatement(name=claim.name, at_least=tier, met=claim.value >= tier, host=claim.host)
            for tier in tiers(claim.name)
        ]
        statements.append(CommitmentStatement(name=claim.name, point=claim.commitment.hex(), host=claim.host))
        statements.append(FigureStatement(name=claim.name, value=claim.value, host=claim.host))
        made += [encode_leaf(statement, entropy(SALT_BYTES)) for statement in statements]
    return made
