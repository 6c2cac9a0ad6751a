"""What this node shows to peers who ask: certificates about itself, "at least X", what it took back as an issuer."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from crypto.group import fastest_group
from crypto.identity import Identity, short_id
from crypto.merkle import consistency_proof
from node.credentials.computing import make_range_proof
from node.credentials.worker import ProofWorker
from node.env import Env
from node.net.errors import Refusal
from node.net.session import Call
from node.proofs.asking import Questions
from node.proofs.atleast import MAX_HOSTS, Question
from node.proofs.certificate import disclose, issue_revocations
from node.proofs.credential import Credential, decode_credential
from node.proofs.errors import ProofError
from node.proofs.leaves import CommitmentStatement, SkillStatement, Statement, TierStatement
from node.proofs.policy import ProofsConfig
from node.proofs.tiers import check_tier
from node.store.credentials import Credentials
from protocol.messages import (
    AtLeastRequest,
    AtLeastShown,
    CertificatesFound,
    CertificateShown,
    CertificatesRequest,
    HostShown,
    KnownTree,
    LeafShown,
    RevocationsFound,
)

log = structlog.get_logger()

REVOCATIONS_LIFE_S: Final = 86_400
"""A list says what was taken back until today: who keeps it longer asks again."""
MAX_LEAVES_SHOWN: Final = 64


class CredentialDesk:
    """Answers peers. Skills on sale are shown with their certificates; resources only by tier or range proof."""

    def __init__(
        self,
        *,
        identity: Identity,
        env: Env,
        store: Credentials,
        config: ProofsConfig,
        worker: ProofWorker,
        sells: Callable[[str], bool],
    ) -> None:
        self._identity = identity
        self._env = env
        self._store = store
        self._config = config
        self._worker = worker
        self._sells = sells
        self._questions = Questions(config.questions_per_day)

    async def certificates(self, request: CertificatesRequest) -> CertificatesFound:
        """What others certify about this node, newest first."""
        held = await self.held()
        return CertificatesFound(certificates=tuple(self._shown(one, request.known) for one in held))

    async def held(self) -> list[Credential]:
        """The credentials that have not ended, the last kept first."""
        now_unix_s, held = self._env.unix_ms() // 1000, []
        for document in await self._store.held():
            group = fastest_group()  # here: rbcl takes 9 MB, and most nodes hold no credential
            try:
                credential = await self._env.offload(decode_credential, document, group)
            except ProofError as error:  # whole when it was kept: the disk's fault, and no reason to show nothing
                log.error("credential.damaged", error=str(error))
                continue
            if credential.certificate.exp > now_unix_s:
                held.append(credential)
        return held

    async def digest(self) -> bytes | None:
        """SHA-256 of the newest token that this node shows: what its adverts carry."""
        held = await self.held()
        return hashlib.sha256(held[0].token.encode()).digest() if held else None

    async def revocations(self) -> RevocationsFound:
        """What this node, as an issuer, took back."""
        now_unix_s = self._env.unix_ms() // 1000
        serials = await self._store.revoked(now_unix_s)
        token = issue_revocations(self._identity, serials, now_unix_s=now_unix_s, life_s=REVOCATIONS_LIFE_S)
        return RevocationsFound(token=token)

    async def at_least(self, call: Call, request: AtLeastRequest) -> AtLeastShown:
        """A tier leaf or a range proof, for this asker in this session; Refusal with its reason otherwise."""
        question = Question(
            name=request.name,
            at_least=request.at_least,
            prover=self._identity.public_key,
            verifier=call.peer_key,
            session_hash=call.session.handshake_hash,
            nonce=request.nonce,
        )
        try:
            check_tier(request.name, request.at_least)
            self._questions.count(call.peer_key, self._env.unix_ms())
            held = await self.held()
            if request.method == "tier":
                return _tier(held, request)
            return await self._range(held, question, call.remaining_s())
        except ProofError as error:
            log.info("proof.refused", peer=short_id(call.peer_key), reason=error.reason)
            raise Refusal(error.reason, str(error)) from error

    async def _range(self, held: Sequence[Credential], question: Question, remaining_s: float) -> AtLeastShown:
        """All hosts of the first issuer that certified any: one host alone where that is enough."""
        chosen = _committed(held, question.name)
        if not chosen:
            raise ProofError("below", f"nobody certified this node's {question.name}")
        alone = [one for one in chosen if one[0].openings[one[1]].value >= question.at_least]
        parts = (alone or chosen)[: 1 if alone else MAX_HOSTS]
        proof: bytes = await self._worker.call(
            make_range_proof,
            question,
            [credential.token for credential, _ in parts],
            [credential.openings[index] for credential, index in parts],
            self._env.entropy(32),
            timeout_s=min(self._config.proof_timeout_s, remaining_s),
        )
        return AtLeastShown(hosts=tuple(_host(credential, index) for credential, index in parts), proof=proof)

    def _shown(self, credential: Credential, known: Sequence[KnownTree]) -> CertificateShown:
        indices = [
            index
            for index, statement in enumerate(credential.statements())
            if isinstance(statement, SkillStatement) and self._sells(statement.label)
        ]
        issuer, size = credential.certificate.issuer, len(credential.leaves)
        older = next((tree.leaves for tree in known if tree.issuer == issuer and tree.leaves <= size), size)
        return CertificateShown(
            token=credential.token,
            leaves=tuple(_leaf(credential, index) for index in indices[:MAX_LEAVES_SHOWN]),
            grown=tuple(consistency_proof(credential.leaves, older)),
        )


def _tier(held: Sequence[Credential], request: AtLeastRequest) -> AtLeastShown:
    for credential in held:
        for index, statement in enumerate(credential.statements()):
            if isinstance(statement, TierStatement) and _is_asked(statement, request) and statement.met:
                return AtLeastShown(hosts=(_host(credential, index),))
    raise ProofError("below", f"nobody certified that this node has {request.at_least} of {request.name}")


def _is_asked(statement: TierStatement, request: AtLeastRequest) -> bool:
    return (statement.name, statement.at_least) == (request.name, request.at_least)


def _committed(held: Sequence[Credential], name: str) -> list[tuple[Credential, int]]:
    """The commitments to this resource of one issuer, each host once."""
    found: dict[str | None, tuple[Credential, int]] = {}
    issuer: bytes | None = None
    for credential in held:
        statements: Sequence[Statement] = credential.statements()
        for index in credential.openings:
            statement = statements[index]
            if isinstance(statement, CommitmentStatement) and statement.name == name:
                issuer = issuer or credential.certificate.issuer
                if credential.certificate.issuer == issuer:
                    found.setdefault(statement.host, (credential, index))
    return list(found.values())


def _host(credential: Credential, index: int) -> HostShown:
    return HostShown(token=credential.token, shown=_leaf(credential, index))


def _leaf(credential: Credential, index: int) -> LeafShown:
    shown = disclose(credential.leaves, index)
    return LeafShown(leaf=shown.leaf, index=shown.index, path=shown.path)
