"""Certificates: an issuer signs the root of a tree of statements about a subject, who then shows the leaves it likes.

A certificate is a JWS (crypto/jws) over canonical JSON with the names of RFC 7519: `iss` and `sub` are did:keys, `iat`
and `exp` seconds, `jti` a random serial number in hexadecimal; `network`; `root` (hexadecimal) and `leaves` of the
RFC 9162 tree. A tree only grows: the next certificate of the same issuer for the same subject names the root and size
that it grew from, and a consistency proof shows that no statement was dropped or changed on the way. To take something
back, an issuer revokes, and begins a new tree. A revocation list is a JWS of the same kind.

Nothing here asks for the time or a list of what is revoked: callers hand them in. Everything that does not hold is a
ProofError with its reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from crypto import merkle
from crypto.identity import Identity, did_key, parse_did_key, short_id
from crypto.jcs import JcsError, canonical, parse_canonical
from crypto.jws import JwsError, Signed, sign_compact, verify_compact
from node.proofs.errors import ProofError
from node.proofs.leaves import Statement, decode_leaf
from protocol.signed import Network

CERTIFICATE_TYP: Final = "coalesced-certificate+jwt"
REVOCATIONS_TYP: Final = "coalesced-revocations+jwt"
MAX_LEAVES: Final = 4096
MAX_REVOKED: Final = 4096
MAX_LIFE_S: Final = 2 * 365 * 86_400
"""Two years: a figure about a machine is not worth more."""
CLOCK_SKEW_S: Final = 120
"""As between clocks in the DHT."""

S = TypeVar("S", bound=msgspec.Struct)
Seconds = Annotated[int, Meta(ge=0, le=2**40)]
HexRoot = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Serial = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Did = Annotated[str, Meta(min_length=50, max_length=64)]


class Tree(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tree's root, and how many leaves it has: a root alone does not say what it is the root of."""

    root: HexRoot
    leaves: Annotated[int, Meta(ge=1, le=MAX_LEAVES)]


class Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an issuer signed."""

    iss: Did
    sub: Did
    iat: Seconds
    exp: Seconds
    jti: Serial
    network: Network
    tree: Tree
    grown_from: Tree | None = None

    @property
    def issuer(self) -> bytes:
        """The issuer's public key."""
        return parse_did_key(self.iss)

    @property
    def subject(self) -> bytes:
        """The public key of the node that this is about."""
        return parse_did_key(self.sub)


class Revocations(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Serial numbers that an issuer took back, as of `iat`; it is to be asked again after `exp`."""

    iss: Did
    iat: Seconds
    exp: Seconds
    revoked: Annotated[tuple[Serial, ...], Meta(max_length=MAX_REVOKED)] = ()


@dataclass(frozen=True, slots=True)
class Disclosed:
    """One leaf, shown: its content, its place, and the path from there to the root."""

    leaf: bytes
    index: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an issuer decides beside the statements."""

    subject: bytes
    network: str
    issued_unix_s: int
    expires_unix_s: int
    serial: str


def tree_of(leaves: Sequence[bytes]) -> Tree:
    """The tree over leaves in order; ProofError when there are none or too many."""
    if not 1 <= len(leaves) <= MAX_LEAVES:
        raise ProofError("malformed", f"a certificate holds 1 to {MAX_LEAVES} leaves, not {len(leaves)}")
    return Tree(root=merkle.root(leaves).hex(), leaves=len(leaves))


def issue(issuer: Identity, terms: Terms, leaves: Sequence[bytes], grown_from: Tree | None = None) -> str:
    """The token of a certificate over `leaves`, which begin with those of `grown_from`, if there was one."""
    if not 0 < terms.expires_unix_s - terms.issued_unix_s <= MAX_LIFE_S:
        raise ProofError("malformed", f"a certificate lives up to {MAX_LIFE_S // 86_400} days: choose an end within")
    if grown_from is not None and tree_of(leaves[: grown_from.leaves]) != grown_from:
        raise ProofError("not_grown", "these leaves do not begin with those of the certificate before")
    certificate = Certificate(
        iss=did_key(issuer.public_key),
        sub=did_key(terms.subject),
        iat=terms.issued_unix_s,
        exp=terms.expires_unix_s,
        jti=terms.serial,
        network=terms.network,
        tree=tree_of(leaves),
        grown_from=grown_from,
    )
    return sign_compact(issuer, canonical(msgspec.to_builtins(certificate)), typ=CERTIFICATE_TYP)


def read(token: str) -> Certificate:
    """What a token certifies, its signature checked, and neither its subject nor its dates."""
    signed = _open(token, CERTIFICATE_TYP)
    certificate = _decode(signed, Certificate)
    if certificate.iss != did_key(signed.signer):
        raise ProofError("bad_signature", f"its issuer is {certificate.iss}, but {did_key(signed.signer)} signed it")
    _check_did(certificate.sub)
    return certificate


def check(certificate: Certificate, *, subject: bytes, network: str, now_unix_s: int) -> None:
    """ProofError unless it is about `subject`, in this network, today."""
    if certificate.subject != subject:
        raise ProofError(
            "wrong_subject",
            f"it is about {short_id(certificate.subject)}, and {short_id(subject)} shows it",
        )
    if certificate.network != network:
        raise ProofError("wrong_network", f"it is of the network {certificate.network!r}, this is {network!r}")
    if now_unix_s < certificate.iat - CLOCK_SKEW_S:
        raise ProofError("not_yet_valid", f"it begins in {certificate.iat - now_unix_s} s")
    if now_unix_s >= certificate.exp:
        raise ProofError("expired", f"it ended {now_unix_s - certificate.exp} s ago: its subject needs a new one")
    if certificate.exp - certificate.iat > MAX_LIFE_S:
        raise ProofError("malformed", f"it lives longer than the limit of {MAX_LIFE_S // 86_400} days")


def disclose(leaves: Sequence[bytes], index: int) -> Disclosed:
    """Leaf `index` with its path; IndexError when there is none."""
    return Disclosed(leaves[index], index, tuple(merkle.inclusion_proof(leaves, index)))


def check_disclosed(certificate: Certificate, shown: Disclosed) -> Statement:
    """The statement of a leaf that is in the certificate; ProofError otherwise."""
    root = bytes.fromhex(certificate.tree.root)
    if not merkle.verify_inclusion(
        merkle.leaf_hash(shown.leaf), shown.index, certificate.tree.leaves, shown.path, root
    ):
        raise ProofError("not_in_root", f"leaf {shown.index} is not in the tree that the issuer signed")
    return decode_leaf(shown.leaf)


def check_grown(older: Tree, newer: Tree, path: Sequence[bytes]) -> None:
    """ProofError unless `path` shows that the newer tree begins with all leaves of the older one."""
    if not merkle.verify_consistency(
        older.leaves, newer.leaves, bytes.fromhex(older.root), bytes.fromhex(newer.root), path
    ):
        raise ProofError(
            "not_grown",
            f"its {newer.leaves} statements do not begin with the {older.leaves} known from before: "
            "one was dropped or changed without being revoked",
        )


def issue_revocations(issuer: Identity, serials: Sequence[str], *, now_unix_s: int, life_s: int) -> str:
    """The token of a list of what this issuer took back."""
    listed = Revocations(
        iss=did_key(issuer.public_key), iat=now_unix_s, exp=now_unix_s + life_s, revoked=tuple(sorted(serials))
    )
    return sign_compact(issuer, canonical(msgspec.to_builtins(listed)), typ=REVOCATIONS_TYP)


def read_revocations(token: str, issuer: bytes, *, now_unix_s: int) -> Revocations:
    """A list that `issuer` signed and that has not passed its end; ProofError otherwise."""
    signed = _open(token, REVOCATIONS_TYP)
    listed = _decode(signed, Revocations)
    if signed.signer != issuer or listed.iss != did_key(issuer):
        raise ProofError("bad_signature", f"this revocation list is not one of {did_key(issuer)}'s")
    if not listed.iat - CLOCK_SKEW_S <= now_unix_s < listed.exp:
        raise ProofError("expired", "this revocation list is not of today: ask its issuer for a fresh one")
    return listed


def check_revoked(certificate: Certificate, listed: Revocations) -> None:
    """ProofError when the issuer's list has the certificate."""
    if listed.iss != certificate.iss:
        raise ProofError("bad_signature", f"the revocation list is {listed.iss}'s, not the issuer's")
    if certificate.jti in listed.revoked:
        raise ProofError("revoked", f"its issuer took certificate {certificate.jti[:8]} back")


def _open(token: str, typ: str) -> Signed:
    try:
        return verify_compact(token, typ=typ)
    except JwsError as error:
        raise ProofError("bad_signature", str(error)) from error


def _decode(signed: Signed, kind: type[S]) -> S:
    try:
        return msgspec.convert(parse_canonical(signed.payload), kind)
    except (JcsError, msgspec.ValidationError) as error:
        raise ProofError("malformed", f"it was signed but cannot be read: {error}") from error


def _check_did(did: str) -> None:
    try:
        parse_did_key(did)
    except ValueError as error:
        raise ProofError("malformed", f"it names a subject that is no node: {error}") from error
