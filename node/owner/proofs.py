"""The owner's side of certificates and proofs: issue, keep, take back, ask a peer, put it to the test."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from msgspec.structs import replace

from crypto.identity import did_key, short_id
from node.attestation.work import AttestationError, Work
from node.credentials.inspector import Checked
from node.daemon import Parts
from node.errors import UsageError
from node.net.errors import NetError
from node.owner.names import find_peer
from node.proofs.certificate import Certificate, Terms, check
from node.proofs.credential import Credential, Wanted, certify, decode_credential, encode_credential
from node.proofs.errors import ProofError
from node.proofs.leaves import (
    CommitmentStatement,
    FigureStatement,
    SkillStatement,
    Statement,
    TierStatement,
    subject_name,
)
from node.proofs.tiers import MAX_FIGURE
from node.skills.labels import check_label
from node.store.shown import ShownClaim
from node.views import (
    AtLeastView,
    AttestationView,
    CertificateRow,
    CertificatesView,
    CertifyRequest,
    CredentialView,
    OkView,
    StatementRow,
)

DAY_S = 86_400
PPM_OF_PERCENT = 10_000


class ProofDesk:
    """`peer_keys` gives the keys that a short id may mean."""

    def __init__(self, parts: Parts, peer_keys: Callable[[], Awaitable[set[bytes]]]) -> None:
        self._parts = parts
        self._peer_keys = peer_keys

    async def certificates(self, text: str) -> CertificatesView:
        """What others certify about a peer, asked of it and checked now."""
        key = find_peer(text, await self._peer_keys())
        checked = await self._parts.examining.certificates(key)
        return CertificatesView(peer=short_id(key), did=did_key(key), certificates=tuple(map(_row, checked)))

    async def certify(self, request: CertifyRequest) -> CredentialView:
        """Certify a peer's skills and figures, on top of what this node certified about it before."""
        from crypto.group import fastest_group

        parts, key, group = self._parts, find_peer(request.peer, await self._peer_keys()), fastest_group()
        wanted = Wanted(_skills(request.skills), _figures(request.resources))
        now_unix_ms = parts.env.unix_ms()
        terms = Terms(
            subject=key,
            network=parts.network,
            issued_unix_s=now_unix_ms // 1000,
            expires_unix_s=now_unix_ms // 1000 + request.days * DAY_S,
            serial=parts.env.entropy(16).hex(),
        )
        try:
            last = await parts.store.credentials.last_issued(key)
            before = None if last is None else decode_credential(last, group)
            made = certify(parts.identity, terms, wanted, before, group=group, entropy=parts.env.entropy)
        except ProofError as error:
            raise UsageError(str(error)) from error
        document = encode_credential(made)
        await parts.store.credentials.add_issued(
            terms.serial, key, document, expires_unix_s=terms.expires_unix_s, unix_ms=now_unix_ms
        )
        return CredentialView(
            peer=short_id(key),
            did=did_key(key),
            serial=terms.serial,
            expires_unix_ms=terms.expires_unix_s * 1000,
            document=document.decode(),
        )

    async def keep(self, document: str) -> OkView:
        """Keep a credential about this node, to show it from now on; UsageError says what is wrong with it."""
        from crypto.group import fastest_group

        parts = self._parts
        try:
            made = decode_credential(document.encode(), fastest_group())
            certificate = made.certificate
            now_unix_s = parts.env.unix_ms() // 1000
            check(certificate, subject=parts.identity.public_key, network=parts.network, now_unix_s=now_unix_s)
        except ProofError as error:
            raise UsageError(f"this credential is of no use here: {error}") from error
        await parts.store.credentials.keep(
            certificate.issuer,
            made.token,
            document.strip().encode(),
            expires_unix_s=certificate.exp,
            unix_ms=parts.env.unix_ms(),
            replaces=await self._grown_from(made),
        )
        parts.shop.certificate_sha256 = await parts.proofs.desk.digest()
        for ware in parts.shop.wares:
            await parts.shop.put_up(ware)
        return OkView(text=f"kept: {short_id(certificate.issuer)} certifies {certificate.tree.leaves} statements")

    async def revoke(self, serial: str) -> OkView:
        """Take a certificate of this node's back."""
        wanted = serial.strip().lower()
        found = await self._parts.store.credentials.revoke(wanted, self._parts.env.unix_ms()) if wanted else []
        if len(found) != 1:
            what = "several begin with it" if found else "this node has none that begins so and still counts"
            raise UsageError(f"{serial[:40]!r} names no certificate: {what}")
        return OkView(text=f"certificate {found[0][:8]} is revoked; who asks this node learns so")

    async def at_least(self, text: str, name: str, amount: int, *, hidden: bool) -> AtLeastView:
        """Ask a peer to show that it has so much."""
        check_label(name)
        proofs, key = self._parts.proofs, find_peer(text, await self._peer_keys())
        session = await proofs.session(key)
        try:
            by = await proofs.inspector.at_least(session, name, amount, hidden=hidden)
            issuers, reason, problem = tuple(short_id(one.issuer) for one in by), "", ""
            await self._parts.store.shown.showed(key, self._shown(by, name, amount))
        except ProofError as error:
            if error.reason == "not_a_tier":
                raise UsageError(str(error)) from error
            issuers, reason, problem = (), error.reason, str(error)
        except NetError as error:
            issuers, reason, problem = (), error.code, str(error)
        return AtLeastView(
            peer=short_id(key),
            name=name,
            at_least=amount,
            hidden=hidden,
            shown=bool(issuers),
            issuers=issuers,
            reason=reason,
            problem=problem,
        )

    async def attest(self, text: str, *, size: int, rounds: int, memory_mib: int) -> AttestationView:
        """Put a peer's machine to the test, now."""
        parts, key = self._parts, find_peer(text, await self._peer_keys())
        try:
            work = Work(size, rounds, memory_mib)
        except AttestationError as error:
            raise UsageError(str(error)) from error
        view = AttestationView(
            peer=short_id(key), did=did_key(key), size=size, rounds=rounds, memory_mib=memory_mib, holds=False
        )
        try:
            found = await parts.examining.attest(key, work)
        except AttestationError as error:
            return replace(view, problem=str(error))
        return replace(
            view,
            holds=True,
            least_rtt_s=found.least_rtt_s,
            elapsed_s=found.elapsed_s,
            rate_gops=found.rate_gops,
            checked_s=found.checked_s,
            received_bytes=found.received_bytes,
            fill_s=found.fill_s,
            answer_s=found.answer_s,
        )

    def _shown(self, by: Sequence[Certificate], name: str, amount: int) -> list[ShownClaim]:
        """What an "at least" shows, on the word of each issuer; the proof is of all hosts together."""
        until_unix_ms = min(one.exp for one in by) * 1000
        return [
            ShownClaim(
                proof="at-least",
                claim=f"resource:{name}",
                attester=issuer,
                amount=amount,
                shown_unix_ms=self._parts.env.unix_ms(),
                until_unix_ms=until_unix_ms,
            )
            for issuer in dict.fromkeys(one.issuer for one in by)
        ]

    async def _grown_from(self, made: Credential) -> str | None:
        """The token of the held credential that this one grew from."""
        for held in await self._parts.proofs.desk.held():
            same = held.certificate.issuer == made.certificate.issuer
            if same and held.leaves == made.leaves[: len(held.leaves)]:
                return held.token
        return None


def _row(checked: Checked) -> CertificateRow:
    certificate, problem, asked = checked.certificate, checked.problem, checked.revocations_unix_s
    return CertificateRow(
        issuer="" if certificate is None else short_id(certificate.issuer),
        issuer_did="" if certificate is None else certificate.iss,
        serial="" if certificate is None else certificate.jti,
        issued_unix_ms=None if certificate is None else certificate.iat * 1000,
        expires_unix_ms=None if certificate is None else certificate.exp * 1000,
        holds=problem is None,
        reason="" if problem is None else problem.reason,
        problem="" if problem is None else str(problem),
        revocations_unix_ms=None if asked is None else asked * 1000,
        statements=tuple(
            StatementRow(about=subject_name(one.statement), text=_in_words(one.statement), believed=one.doubt is None)
            for one in checked.said
        ),
    )


def _in_words(statement: Statement) -> str:
    match statement:
        case SkillStatement(label=label, score_ppm=None):
            return f"does {label}"
        case SkillStatement(label=label, score_ppm=score):
            return f"does {label}: {(score or 0) / PPM_OF_PERCENT:.1f} % of hidden items done right"
        case FigureStatement(name=name, value=value):
            return f"has {value} of {name}"
        case TierStatement(name=name, at_least=tier, met=met):
            return f"has {'' if met else 'not '}at least {tier} of {name}"
        case CommitmentStatement(name=name):
            return f"has a hidden amount of {name}"


def _skills(texts: Sequence[str]) -> Mapping[str, int | None]:
    made: dict[str, int | None] = {}
    for text in texts:
        label, _, score = text.partition("=")
        made[check_label(label)] = _ppm(text, score) if score else None
    return made


def _ppm(text: str, score: str) -> int:
    try:
        percent = float(score.removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0.0 <= percent <= 100.0:
        raise UsageError(f"{text[:80]!r}: write a tested share as LABEL=93%, from 0 to 100")
    return round(percent * PPM_OF_PERCENT)


def _figures(texts: Sequence[str]) -> Mapping[tuple[str, str | None], int]:
    made: dict[tuple[str, str | None], int] = {}
    for text in texts:
        about, _, figure = text.partition("=")
        name, _, host = about.partition("@")
        if not (figure.isascii() and figure.isdigit() and len(figure) <= 10 and int(figure) <= MAX_FIGURE):
            raise UsageError(f"{text[:80]!r}: write a resource as NAME=64 or NAME@HOST=64, a whole number")
        made[check_label(name), check_label(host) if host else None] = int(figure)
    return made
