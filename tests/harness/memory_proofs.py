"""Certificates and proofs of the node without a network: what the owner's calls give, with fixed figures."""

from node.views import (
    AtLeastView,
    AttestationView,
    AttestedRow,
    CanaryRow,
    CertificateRow,
    CertificatesView,
    CertifyRequest,
    CredentialView,
    ExaminedView,
    LeakRequest,
    LeakView,
    OkView,
    ProvedRow,
    SkillTestRequest,
    SkillTestView,
    StatementRow,
    TestedRow,
)
from tests.harness.memory_ledger import DID, NOW_UNIX_MS


class MemoryProofs:
    """The part of coalesced.control.facade.Node that is about certificates."""

    certified: CertifyRequest | None = None
    kept: str = ""

    async def certificates(self, peer: str, /) -> CertificatesView:
        good = CertificateRow(
            issuer="q7wdjo3a",
            issuer_did=DID,
            serial="ab" * 16,
            issued_unix_ms=NOW_UNIX_MS,
            expires_unix_ms=NOW_UNIX_MS + 86_400_000,
            holds=True,
            statements=(
                StatementRow(about="skill:risk", text="does risk: 90.0 % of hidden items done right", believed=True),
                StatementRow(about="skill:upper", text="does upper", believed=False),
            ),
        )
        bad = CertificateRow(
            issuer="q7wdjo3a", issuer_did=DID, serial="cd" * 16, holds=False, reason="revoked", problem="taken back"
        )
        return CertificatesView(peer=peer, did=DID, certificates=(good, bad))

    async def certify(self, request: CertifyRequest, /) -> CredentialView:
        self.certified = request
        return CredentialView(
            peer=request.peer, did=DID, serial="ab" * 16, expires_unix_ms=NOW_UNIX_MS, document='{"made":"for you"}'
        )

    async def keep_credential(self, document: str, /) -> OkView:
        self.kept = document
        return OkView(text="kept")

    async def revoke_certificate(self, serial: str, /) -> OkView:
        return OkView(text=f"certificate {serial} is revoked")

    async def at_least(self, peer: str, name: str, amount: int, /, *, hidden: bool) -> AtLeastView:
        if amount > 64:
            return AtLeastView(
                peer=peer, name=name, at_least=amount, hidden=hidden, shown=False, reason="below", problem="it has less"
            )
        return AtLeastView(peer=peer, name=name, at_least=amount, hidden=hidden, shown=True, issuers=("q7wdjo3a",))

    async def attest(self, peer: str, /, *, size: int, rounds: int, memory_mib: int) -> AttestationView:
        return AttestationView(
            peer=peer,
            did=DID,
            size=size,
            rounds=rounds,
            memory_mib=memory_mib,
            holds=size < 4096,
            problem="" if size < 4096 else "row 7 of round 1 is not that of the product",
            least_rtt_s=0.02,
            elapsed_s=1.5,
            rate_gops=12.5,
            checked_s=0.06,
            received_bytes=738_560,
            fill_s=2.0 if memory_mib else None,
            answer_s=0.1 if memory_mib else None,
        )

    async def examined(self, peer: str, /) -> ExaminedView:
        row = TestedRow(skill="risk", verdict="stands", good=11, bad=0, items_root="ab" * 32, unix_ms=NOW_UNIX_MS)
        return ExaminedView(
            peer=peer,
            did=DID,
            attested_unix_ms=NOW_UNIX_MS,
            attestation_holds=True,
            rate_gops=12.5,
            drift="risk: its jobs take longer than they did",
            drift_unix_ms=NOW_UNIX_MS,
            leaks=1,
            tests=(row,),
            attestations=(
                AttestedRow(
                    unix_ms=NOW_UNIX_MS,
                    reason="its machine was A and is B",
                    done=True,
                    holds=True,
                    size=256,
                    rounds=4,
                    memory_mib=0,
                    rate_gops=12.5,
                ),
            ),
            canaries=(CanaryRow(skill="risk", good=4, bad=1, unix_ms=NOW_UNIX_MS),),
            proved=(ProvedRow(name="memory_gib", at_least=64, issuer="aaaa2222", unix_ms=NOW_UNIX_MS),),
        )

    async def test_skill(self, request: SkillTestRequest, /) -> SkillTestView:
        good = 11 if "right" in request.items else 0
        return SkillTestView(
            peer=request.peer,
            did=DID,
            skill=request.skill,
            verdict="stands" if good else "open",
            good=good,
            bad=0,
            paid_micro=1_100 * good,
            items_root="ab" * 32,
            items=14,
            unix_ms=NOW_UNIX_MS,
            ended="" if good else "the budget is spent",
        )

    async def report_leak(self, request: LeakRequest, /) -> LeakView:
        return LeakView(token=request.text, task="ab" * 16, sellers=("q7wdjo3b",), dids=(DID,))
