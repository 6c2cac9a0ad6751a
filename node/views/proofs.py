"""Certificates about nodes, what they proved, what they were seen to compute."""

from typing import Annotated

from msgspec import Meta

from node.views.base import Part, View

PeerText = Annotated[str, Meta(min_length=1, max_length=64)]
Claims = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(max_length=64)]


class StatementRow(Part, frozen=True, kw_only=True):
    """One statement that a certificate's subject showed."""

    about: str
    """`skill:LABEL` or `resource:NAME`, as attester policies write it."""
    text: str
    believed: bool
    """Whether this node's owner believes the issuer about this."""


class CertificateRow(Part, frozen=True, kw_only=True):
    """One certificate as a peer showed it."""

    issuer: str
    issuer_did: str
    serial: str
    issued_unix_ms: int | None = None
    expires_unix_ms: int | None = None
    holds: bool
    reason: str = ""
    """Why not: wrong_subject, expired, revoked, not_in_root, not_grown, ..."""
    problem: str = ""
    revocations_unix_ms: int | None = None
    """As of when its issuer says that it was not taken back; None where the issuer could not be asked."""
    statements: tuple[StatementRow, ...] = ()


class CertificatesView(View, frozen=True, kw_only=True, tag="coalesced.certificates/1"):
    """What others certify about a peer."""

    peer: str
    did: str
    certificates: tuple[CertificateRow, ...]


class CertifyRequest(View, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="coalesced.certify/1"):
    """What to certify about a peer: skills as `label` or `label=93%`, resources as `name=64` or `name@host=64`."""

    peer: PeerText
    skills: Claims = ()
    resources: Claims = ()
    days: Annotated[int, Meta(ge=1, le=730)] = 90


class CredentialView(View, frozen=True, kw_only=True, tag="coalesced.credential-file/1"):
    """A new certificate with everything behind it: for its subject alone."""

    peer: str
    did: str
    serial: str
    expires_unix_ms: int
    document: str


class KeepRequest(View, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="coalesced.keep/1"):
    """A credential that an issuer gave to this node."""

    document: Annotated[str, Meta(max_length=2**20)]


class AtLeastView(View, frozen=True, kw_only=True, tag="coalesced.at-least/1"):
    """Whether a peer showed that it has so much of something."""

    peer: str
    name: str
    at_least: int
    hidden: bool
    shown: bool
    issuers: tuple[str, ...] = ()
    reason: str = ""
    problem: str = ""


class AttestationView(View, frozen=True, kw_only=True, tag="coalesced.attestation/1"):
    """What a peer was seen to compute, by this node's clock."""

    peer: str
    did: str
    size: int
    rounds: int
    memory_mib: int
    holds: bool
    problem: str = ""
    least_rtt_s: float = 0.0
    elapsed_s: float = 0.0
    rate_gops: float = 0.0
    """Billions of operations a second, at least."""
    checked_s: float = 0.0
    received_bytes: int = 0
    fill_s: float | None = None
    answer_s: float | None = None
