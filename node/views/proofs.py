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


class SkillTestRequest(View, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="coalesced.skill-test-order/1"):
    """Put a peer's skill to the test. `items` is the text of an items file: one JSON object a line."""

    peer: PeerText
    skill: Annotated[str, Meta(min_length=1, max_length=100)]
    items: Annotated[str, Meta(max_length=2**26)]
    claimed_ppm: Annotated[int, Meta(ge=1, le=999_999)] = 800_000
    """The share of right answers that is claimed, told apart from `too_low_ppm`."""
    too_low_ppm: Annotated[int, Meta(ge=1, le=999_999)] = 600_000
    most: Annotated[int, Meta(ge=1, le=1000)] = 200
    """No more items than this: then the test ends open."""
    budget_micro: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    """For all items together; None allows each item the node's default budget."""


class SkillTestView(View, frozen=True, kw_only=True, tag="coalesced.skill-test/1"):
    """How a skill test went: `stands`, `falls`, or `open` where items or budget ended first."""

    peer: str
    did: str
    skill: str
    verdict: str
    good: int
    bad: int
    paid_micro: int
    items_root: str
    """Hexadecimal: what all items, asked or not, were committed to by before the first was asked."""
    items: int
    unix_ms: int
    ended: str = ""
    """Why an open test ended."""


class TestedRow(Part, frozen=True, kw_only=True):
    """The last test of one skill."""

    skill: str
    verdict: str
    good: int
    bad: int
    items_root: str
    unix_ms: int


class AttestedRow(Part, frozen=True, kw_only=True):
    """One attestation that this node asked of a peer, by its own clock."""

    unix_ms: int
    reason: str = ""
    """Why, where the peer seemed to have changed; empty where the owner wished it."""
    done: bool
    """Whether it came to it: a peer may refuse, or be gone."""
    holds: bool
    size: int
    rounds: int
    memory_mib: int
    rate_gops: float
    problem: str = ""


class CanaryRow(Part, frozen=True, kw_only=True):
    """How a peer answered the canaries of one skill; the last at `unix_ms`."""

    skill: str
    good: int
    bad: int
    unix_ms: int


class ProvedRow(Part, frozen=True, kw_only=True):
    """That a peer proved to this node, at `unix_ms`, that it has at least so much of a resource."""

    name: str
    at_least: int
    issuer: str
    """Who certified the figure that this was proved of."""
    unix_ms: int


class ExaminedView(View, frozen=True, kw_only=True, tag="coalesced.examined/1"):
    """What this node found out about a peer by itself, with when."""

    peer: str
    did: str
    attested_unix_ms: int | None = None
    attestation_holds: bool = False
    rate_gops: float = 0.0
    problem: str = ""
    drift: str = ""
    """Why it should be examined again, as a sentence."""
    drift_unix_ms: int | None = None
    """Since when nothing that it showed before counts for security budgets; None while all does."""
    leaks: int = 0
    tests: tuple[TestedRow, ...] = ()
    attestations: tuple[AttestedRow, ...] = ()
    """The last 16 that were asked for, the latest first."""
    canaries: tuple[CanaryRow, ...] = ()
    proved: tuple[ProvedRow, ...] = ()
    """By `skills prove`, under certificates that have not ended."""


class LeakRequest(View, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="coalesced.leak-report/1"):
    """A text in which a honeytoken was found."""

    text: Annotated[str, Meta(min_length=1, max_length=2**20)]


class LeakView(View, frozen=True, kw_only=True, tag="coalesced.leak/1"):
    """Whose task a leaked token was planted in, and which sellers were sent it."""

    token: str
    task: str
    sellers: tuple[str, ...]
    dids: tuple[str, ...]
