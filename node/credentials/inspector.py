"""What peers show, asked for and checked: their certificates, what is revoked, and "at least X"."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from crypto.identity import short_id
from node.env import Env
from node.errors import NodeError
from node.net.errors import NetError, RemoteRefused
from node.net.session import Session
from node.proofs.atleast import Part, Question, check_range, check_tier_leaf
from node.proofs.certificate import (
    Certificate,
    Disclosed,
    Revocations,
    Tree,
    check,
    check_disclosed,
    check_grown,
    check_revoked,
    read,
    read_revocations,
)
from node.proofs.errors import ProofError
from node.proofs.leaves import Statement, subject_name
from node.proofs.policy import Attester, check_believed
from node.proofs.tiers import check_tier
from node.store.credentials import Credentials, SeenTree
from protocol.messages import (
    AtLeastRequest,
    AtLeastShown,
    CertificatesFound,
    CertificateShown,
    CertificatesRequest,
    KnownTree,
    LeafShown,
    Message,
    RevocationsFound,
    RevocationsRequest,
)

ASK_TIMEOUT_S: Final = 10.0
PROOF_TIMEOUT_S: Final = 30.0
"""A range proof may have to wait for a process to start on the other side."""

M = TypeVar("M", bound=Message)
OpenSession = Callable[[bytes], Awaitable[Session]]


@dataclass(frozen=True, slots=True)
class Said:
    """One statement, and why this node does not believe it, if it does not."""

    statement: Statement
    doubt: ProofError | None


@dataclass(frozen=True, slots=True)
class Checked:
    """One certificate as shown: what is wrong with it, or what it says."""

    certificate: Certificate | None
    problem: ProofError | None = None
    revocations_unix_s: int | None = None
    """As of when its issuer says that it did not take it back; None where the issuer could not be asked."""
    said: tuple[Said, ...] = field(default=())


class Inspector:
    """Asks over sessions that it is given or opens; every answer is checked before anybody sees it."""

    def __init__(
        self,
        *,
        own_key: bytes,
        network: str,
        env: Env,
        store: Credentials,
        attesters: tuple[Attester, ...],
        open_session: OpenSession,
        own_revocations: Callable[[], Awaitable[RevocationsFound]],
    ) -> None:
        self._own_key = own_key
        self._network = network
        self._env = env
        self._store = store
        self._attesters = attesters
        self._open_session = open_session
        self._own_revocations = own_revocations

    async def certificates(self, session: Session) -> list[Checked]:
        """What others certify about the peer, each checked."""
        seen = await self._store.seen(session.peer_key)
        known = tuple(KnownTree(issuer=issuer, leaves=tree.leaves) for issuer, tree in list(seen.items())[:8])
        found = await asked(session, CertificatesRequest(known=known), CertificatesFound, ASK_TIMEOUT_S)
        return [await self._checked(session.peer_key, shown, seen) for shown in found.certificates]

    async def at_least(self, session: Session, name: str, at_least: int, *, hidden: bool) -> tuple[Certificate, ...]:
        """The certificates by which the peer showed that it has so much; ProofError where it did not.

        `hidden` asks for a range proof, which does not say whether it has the next tier as well.
        """
        check_tier(name, at_least)
        nonce = self._env.entropy(32)
        request = AtLeastRequest(name=name, at_least=at_least, nonce=nonce, method="range" if hidden else "tier")
        shown = await asked(session, request, AtLeastShown, PROOF_TIMEOUT_S)
        question = Question(
            name=name,
            at_least=at_least,
            prover=session.peer_key,
            verifier=self._own_key,
            session_hash=session.handshake_hash,
            nonce=nonce,
        )
        parts = [Part(host.token, read(host.token), _disclosed(host.shown)) for host in shown.hosts]
        for part in parts:
            await self._hold(part.certificate, session.peer_key)
            check_believed(self._attesters, part.certificate.issuer, f"resource:{name}")
        if hidden:
            from crypto.group import fastest_group  # with the first proof, not with the daemon

            await self._env.offload(check_range, fastest_group(), question, parts, shown.proof)
        else:
            check_tier_leaf(question, parts[0])
        return tuple(part.certificate for part in parts)

    async def _checked(self, subject: bytes, shown: CertificateShown, seen: dict[bytes, SeenTree]) -> Checked:
        certificate = None
        try:
            certificate = read(shown.token)
            listed = await self._hold(certificate, subject)
            await self._check_grown(subject, certificate, shown, seen.get(certificate.issuer), listed)
            statements = [check_disclosed(certificate, _disclosed(leaf)) for leaf in shown.leaves]
        except ProofError as error:
            return Checked(certificate, error)
        said = tuple(Said(statement, self._doubt(certificate.issuer, statement)) for statement in statements)
        return Checked(certificate, None, listed.iat if listed else None, said)

    async def _hold(self, certificate: Certificate, subject: bytes) -> Revocations | None:
        """Check all but the leaves; the issuer's revocation list, where it can be had."""
        now_unix_s = self._env.unix_ms() // 1000
        check(certificate, subject=subject, network=self._network, now_unix_s=now_unix_s)
        try:
            if certificate.issuer == self._own_key:
                found = await self._own_revocations()
            else:
                session = await self._open_session(certificate.issuer)
                found = await asked(session, RevocationsRequest(), RevocationsFound, ASK_TIMEOUT_S)
        except (NodeError, TimeoutError):
            return None
        listed = read_revocations(found.token, certificate.issuer, now_unix_s=now_unix_s)
        check_revoked(certificate, listed)
        return listed

    async def _check_grown(
        self,
        subject: bytes,
        certificate: Certificate,
        shown: CertificateShown,
        seen: SeenTree | None,
        listed: Revocations | None,
    ) -> None:
        """A new tree must hold all that the known one did, unless that was revoked; then remember the new one."""
        begun_anew = seen is not None and listed is not None and seen.serial in listed.revoked
        if seen is not None and not begun_anew:
            if certificate.tree.leaves < seen.leaves:
                raise ProofError("not_grown", f"a later one with {seen.leaves} statements was shown before")
            check_grown(Tree(root=seen.root, leaves=seen.leaves), certificate.tree, shown.grown)
        tree = SeenTree(certificate.jti, certificate.tree.root, certificate.tree.leaves)
        await self._store.saw(subject, certificate.issuer, tree)

    def _doubt(self, issuer: bytes, statement: Statement) -> ProofError | None:
        try:
            check_believed(self._attesters, issuer, subject_name(statement))
        except ProofError as error:
            return error
        return None


def _disclosed(shown: LeafShown) -> Disclosed:
    return Disclosed(shown.leaf, shown.index, shown.path)


async def asked(session: Session, request: Message, kind: type[M], timeout_s: float) -> M:
    try:
        answer = await session.request(request, timeout_s=timeout_s)
    except RemoteRefused as error:
        raise NetError(f"{short_id(session.peer_key)} refuses: {error}") from error
    if not isinstance(answer, kind):
        raise NetError(f"{short_id(session.peer_key)} answered with a {type(answer).__name__}")
    return answer
