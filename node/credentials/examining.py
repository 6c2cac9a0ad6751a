"""Sellers examined by asking them: their certificates, an attestation now. What came of it is remembered."""

from node.attestation.work import AttestationError, Work
from node.credentials.attester import Attestation, attest
from node.credentials.inspector import Checked
from node.credentials.proofs import Proofs
from node.env import Env
from node.errors import NodeError
from node.proofs.leaves import CommitmentStatement, FigureStatement, SkillStatement, TierStatement, subject_name
from node.store.drifting import Drifting
from node.store.examinations import Attested, Examinations
from node.store.history import JobOutcome, Outcomes
from node.store.shown import ShownClaim, ShownProofs

CHANGED_OUTCOME = "attestation"
"""The kind of the failed job that a seller is charged whose attestation did not hold after it seemed to change."""


class Examining:
    """What a proof shows is for security budgets; what an attestation says, for them and for the seller's record."""

    def __init__(
        self,
        *,
        own_key: bytes,
        env: Env,
        proofs: Proofs,
        examinations: Examinations,
        shown: ShownProofs,
        drifting: Drifting,
        outcomes: Outcomes,
    ) -> None:
        self._own_key = own_key
        self._env = env
        self._proofs = proofs
        self._examinations = examinations
        self._shown = shown
        self._drifting = drifting
        self._outcomes = outcomes

    async def certificates(self, key: bytes) -> list[Checked]:
        """What others certify about a peer, asked of it and checked now. NodeError where it cannot be asked."""
        checked = await self._proofs.inspector.certificates(await self._proofs.session(key))
        now = self._env.unix_ms()
        await self._shown.withdrew(key, "certificate")
        await self._shown.showed(key, [claim for one in checked for claim in _claims(one, now)])
        return checked

    async def attest(self, key: bytes, work: Work) -> Attestation:
        """Put a peer's machine to the test now. One that holds ends the doubt of a peer that seemed to have changed.

        AttestationError where what it showed does not hold, which counts as a failed job of such a peer; NodeError
        where it refused, or could not be asked.
        """
        drift = (await self._drifting.drifts([key])).get(key)
        reason = drift.reason if drift else ""
        timeout_s = self._proofs.attestation.timeout_s
        try:
            session = await self._proofs.session(key)
            found = await attest(session, work, own_key=self._own_key, env=self._env, timeout_s=timeout_s)
        except AttestationError as error:
            await self._remember(key, work, reason, problem=str(error))
            if drift is not None:
                await self._outcomes.record(
                    JobOutcome(
                        task_id=self._env.entropy(16),
                        contractor=key,
                        skill=drift.skill,
                        unix_ms=self._env.unix_ms(),
                        success=False,
                        kind=CHANGED_OUTCOME,
                    )
                )
            raise
        except (NodeError, TimeoutError) as error:
            if reason:
                await self._remember(key, work, reason, problem=str(error) or "it did not answer in time", done=False)
            raise
        await self._remember(key, work, reason, rate_gops=found.rate_gops)
        if drift is not None:
            await self._drifting.settled(key)
        return found

    async def _remember(
        self, key: bytes, work: Work, reason: str, *, rate_gops: float = 0.0, problem: str = "", done: bool = True
    ) -> None:
        found = Attested(
            unix_ms=self._env.unix_ms(),
            reason=reason[:500],
            done=done,
            holds=not problem,
            size=work.size,
            rounds=work.rounds,
            memory_mib=work.memory_mib,
            rate_mops=round(rate_gops * 1000),
            problem=problem[:500],
        )
        await self._examinations.attested(key, found)


def _claims(checked: Checked, now_unix_ms: int) -> list[ShownClaim]:
    """What a certificate that holds says, as far as this node believes its issuer."""
    certificate, claims = checked.certificate, list[ShownClaim]()
    if certificate is None or checked.problem is not None:
        return claims
    for said in checked.said:
        match said.statement:
            case SkillStatement(score_ppm=score):
                amount = score or 0
            case FigureStatement(value=value):
                amount = value
            case TierStatement(at_least=tier, met=met):
                amount = tier if met else 0
            case CommitmentStatement():
                continue
        if said.doubt is None:
            claims.append(
                ShownClaim(
                    proof="certificate",
                    claim=subject_name(said.statement),
                    attester=certificate.issuer,
                    amount=amount,
                    shown_unix_ms=now_unix_ms,
                    until_unix_ms=certificate.exp * 1000,
                )
            )
    return claims
