"""A credential: a certificate with everything behind it, as an issuer makes it and its subject keeps it.

A file of canonical JSON: the token, all leaves, and the openings of the commitments. It holds every figure, so it is
for the subject alone; what others get to see of it is single leaves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from crypto.group import Group
from crypto.identity import Identity
from crypto.jcs import JcsError, canonical, parse_canonical
from crypto.jws import JwsError, decode_base64url, encode_base64url
from crypto.pedersen import blinding_from, commit
from node.proofs.atleast import Opening
from node.proofs.certificate import MAX_LEAVES, Certificate, Terms, Tree, issue, read, tree_of
from node.proofs.errors import ProofError
from node.proofs.leaves import (
    Claim,
    CommitmentStatement,
    Figure,
    FigureStatement,
    SkillStatement,
    Statement,
    decode_leaf,
    resource_leaves,
    skill_leaves,
)

MAX_CREDENTIAL_BYTES: Final = 2**20
_SCHEMA: Final = "coalesced.credential/1"


class _OpeningFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    leaf: Annotated[int, Meta(ge=0, lt=MAX_LEAVES)]
    value: Figure
    blinding: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    schema: str
    certificate: Annotated[str, Meta(max_length=8192)]
    leaves: Annotated[tuple[str, ...], Meta(min_length=1, max_length=MAX_LEAVES)]
    openings: Annotated[tuple[_OpeningFile, ...], Meta(max_length=256)] = ()


@dataclass(frozen=True, slots=True)
class Credential:
    """A token, its leaves in order, and by leaf the openings of commitments."""

    token: str
    leaves: tuple[bytes, ...]
    openings: Mapping[int, Opening]

    @property
    def certificate(self) -> Certificate:
        """What the token says."""
        return read(self.token)

    def statements(self) -> list[Statement]:
        """What all leaves say, in order."""
        return [decode_leaf(leaf) for leaf in self.leaves]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be certified: skill labels with their tested score in ppm or None; figures by resource and host."""

    skills: Mapping[str, int | None]
    figures: Mapping[tuple[str, str | None], int]


def certify(
    issuer: Identity,
    terms: Terms,
    wanted: Wanted,
    before: Credential | None,
    *,
    group: Group,
    entropy: Callable[[int], bytes],
) -> Credential:
    """A new credential: what was certified before and still is, then what is new.

    ProofError when something known is to change: then the old one is revoked first, and a new tree begun.
    """
    leaves, openings = list(before.leaves if before else ()), dict(before.openings if before else {})
    skills, figures = dict(wanted.skills), dict(wanted.figures)
    for statement in before.statements() if before else ():
        match statement:
            case SkillStatement(label=label, score_ppm=score) if label in skills:
                _check_same(label, score, skills.pop(label))
            case FigureStatement(name=name, value=value, host=host) if (name, host) in figures:
                _check_same(name, value, figures.pop((name, host)))
    leaves += skill_leaves(skills, entropy)
    for (name, host), value in sorted(figures.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        opening = Opening(value, blinding_from(entropy(64)))
        made = resource_leaves([Claim(name, value, commit(group, value, opening.blinding), host)], entropy)
        openings[len(leaves) + len(made) - 2] = opening  # the commitment comes before the figure, which is last
        leaves += made
    grown_from: Tree | None = tree_of(before.leaves) if before else None
    return Credential(issue(issuer, terms, leaves, grown_from), tuple(leaves), openings)


def encode_credential(credential: Credential) -> bytes:
    """The file."""
    openings = tuple(
        _OpeningFile(leaf=index, value=one.value, blinding=one.blinding.to_bytes(32, "little").hex())
        for index, one in sorted(credential.openings.items())
    )
    file = _File(
        schema=_SCHEMA,
        certificate=credential.token,
        leaves=tuple(encode_base64url(leaf) for leaf in credential.leaves),
        openings=openings,
    )
    return canonical(msgspec.to_builtins(file))


def decode_credential(data: bytes, group: Group) -> Credential:
    """The credential in a file, whole and of one piece; ProofError says what does not fit."""
    if len(data) > MAX_CREDENTIAL_BYTES:
        raise ProofError("malformed", f"a credential of {len(data)} bytes is over the limit of {MAX_CREDENTIAL_BYTES}")
    try:
        file = msgspec.convert(parse_canonical(data.rstrip(b"\n")), _File)
        leaves = tuple(decode_base64url(leaf) for leaf in file.leaves)
    except (JcsError, JwsError, msgspec.ValidationError) as error:
        raise ProofError("malformed", f"this is not a credential: {error}") from error
    if file.schema != _SCHEMA:
        raise ProofError("malformed", f"this is a {file.schema[:60]!r}, not a {_SCHEMA}")
    openings = {
        one.leaf: Opening(one.value, int.from_bytes(bytes.fromhex(one.blinding), "little")) for one in file.openings
    }
    credential = Credential(file.certificate, leaves, openings)
    if tree_of(leaves) != credential.certificate.tree:
        raise ProofError("not_in_root", "its leaves are not those that its issuer signed")
    statements = credential.statements()
    for index, opening in openings.items():
        statement = statements[index] if index < len(statements) else None
        point = commit(group, opening.value, opening.blinding).hex()
        if not isinstance(statement, CommitmentStatement) or statement.point != point:
            raise ProofError("bad_proof", f"its opening of leaf {index} does not open what was committed to")
    return credential


def _check_same(name: str, known: int | None, wanted: int | None) -> None:
    if known != wanted:
        raise ProofError("not_grown", f"{name} was certified as {known}: revoke that certificate to state {wanted}")
