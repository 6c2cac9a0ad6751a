"""Certificates, "at least X" and attestations between whole nodes, over real sessions and a real worker process."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crypto.group import fastest_group
from crypto.identity import did_key
from dht.ids import skill_key
from node.attestation.config import AttestationConfig
from node.attestation.work import Work
from node.credentials.attester import attest
from node.errors import NodeError, UsageError
from node.net.session import Session
from node.proofs.certificate import Terms
from node.proofs.credential import Credential, Wanted, certify, decode_credential, encode_credential
from node.proofs.errors import ProofError
from node.proofs.leaves import SkillStatement
from node.proofs.policy import ProofsConfig
from node.views import CertifyRequest
from protocol.messages import AtLeastRequest, AttestationRequest, decode_advert
from tests.harness.nodes import NETWORK, Node, Plan

SEEDS = (b"\x11" * 32, b"\x12" * 32, b"\x13" * 32)


@dataclass
class World:
    """A seller with certificates, the issuer whom the buyer believes, the buyer."""

    issuer: Node
    seller: Node
    buyer: Node

    async def session(self) -> Session:
        return await self.buyer.parts.peers.session(self.seller.key, self.seller.endpoint)

    async def certify(self, *, figures: dict[tuple[str, str | None], int], serial: str = "0" * 32) -> Credential:
        """The issuer certifies the seller's skill and these figures; the seller keeps it."""
        now_unix_s = self.issuer.parts.env.unix_ms() // 1000
        terms = Terms(
            subject=self.seller.key,
            network=NETWORK,
            issued_unix_s=now_unix_s,
            expires_unix_s=now_unix_s + 3600,
            serial=serial,
        )
        wanted = Wanted({"risk": 900_000, "portfolio": None}, figures)
        entropy = self.issuer.parts.env.entropy
        made = certify(self.issuer.identity, terms, wanted, None, group=fastest_group(), entropy=entropy)
        document = encode_credential(made)
        await self.issuer.parts.store.credentials.add_issued(
            serial, self.seller.key, document, expires_unix_s=terms.expires_unix_s, unix_ms=now_unix_s * 1000
        )
        await self.keep(made)
        return made

    async def keep(self, credential: Credential) -> None:
        await self.seller.parts.store.credentials.keep(
            credential.certificate.issuer,
            credential.token,
            encode_credential(credential),
            expires_unix_s=credential.certificate.exp,
            unix_ms=self.seller.parts.env.unix_ms(),
            replaces=None,
        )


@pytest.fixture(name="world")
async def _world(tmp_path: Path) -> AsyncIterator[World]:
    issuer = await Node(Plan(seed=SEEDS[0], directory=tmp_path / "issuer")).start()
    attestation = AttestationConfig(max_size=256, max_rounds=2, max_memory_mib=16, per_peer_per_day=2)
    seller = await Node(
        Plan(
            seed=SEEDS[1],
            directory=tmp_path / "seller",
            bootstrap=[issuer.endpoint],
            sections={"attestation": attestation, "proofs": ProofsConfig(questions_per_day=3)},
        )
    ).start()
    believed = ProofsConfig(attesters=(f"{did_key(issuer.key)} skill:risk resource:*",))
    buyer = await Node(
        Plan(seed=SEEDS[2], directory=tmp_path / "buyer", bootstrap=[issuer.endpoint], sections={"proofs": believed})
    ).start()
    await buyer.parts.peers.session(issuer.key, issuer.endpoint)
    try:
        yield World(issuer, seller, buyer)
    finally:
        for node in (buyer, seller, issuer):
            await node.stop()


async def test_a_peers_certificates_are_fetched_and_checked_and_its_issuer_is_asked(world: World) -> None:
    await world.certify(figures={("memory_gib", None): 96})
    (checked,) = await world.buyer.parts.proofs.inspector.certificates(await world.session())
    assert checked.problem is None
    assert checked.certificate is not None
    assert checked.certificate.issuer == world.issuer.key
    assert checked.revocations_unix_s is not None
    said = {one.statement: one.doubt for one in checked.said}
    assert said[SkillStatement(label="risk", score_ppm=900_000)] is None
    doubt = said[SkillStatement(label="portfolio")]
    assert doubt is not None
    assert doubt.reason == "not_believed"


async def test_from_the_issuers_order_to_the_sellers_advert_and_the_buyers_view(world: World) -> None:
    await world.issuer.parts.peers.session(world.seller.key, world.seller.endpoint)
    request = CertifyRequest(peer=did_key(world.seller.key), skills=("risk=93.5%",), resources=("memory_gib@left=96",))
    made = await world.issuer.owner.certify(request)
    with pytest.raises(UsageError, match="of no use here"):
        await world.buyer.owner.keep_credential(made.document)
    await world.seller.owner.keep_credential(made.document)
    token = decode_credential(made.document.encode(), fastest_group()).token
    records = await world.buyer.parts.discovery.find(skill_key(NETWORK, "risk"), timeout_s=60.0)
    (record,) = (one for one in records if one.public_key == world.seller.key)
    assert decode_advert(record.body).certificate_sha256 == hashlib.sha256(token.encode()).digest()
    await world.session()
    view = await world.buyer.owner.certificates(did_key(world.seller.key))
    assert [row.text for row in view.certificates[0].statements] == ["does risk: 93.5 % of hidden items done right"]
    shown = await world.buyer.owner.at_least(did_key(world.seller.key), "memory_gib", 64, hidden=True)
    assert (shown.shown, shown.problem) == (True, "")
    # More of the same grows the tree; another figure for the same host needs a revocation first.
    grown = await world.issuer.owner.certify(CertifyRequest(peer=request.peer, skills=("portfolio",)))
    await world.seller.owner.keep_credential(grown.document)
    view = await world.buyer.owner.certificates(did_key(world.seller.key))
    assert [row.holds for row in view.certificates] == [True]
    with pytest.raises(UsageError, match="revoke that certificate"):
        await world.issuer.owner.certify(CertifyRequest(peer=request.peer, resources=("memory_gib@left=32",)))
    await world.issuer.owner.revoke_certificate(grown.serial[:8])
    (row,) = (await world.buyer.owner.certificates(did_key(world.seller.key))).certificates
    assert (row.holds, row.reason) == (False, "revoked")
    attested = await world.buyer.owner.attest(did_key(world.seller.key), size=256, rounds=1, memory_mib=0)
    assert attested.holds
    with pytest.raises(UsageError, match="an attestation is of"):
        await world.buyer.owner.attest(did_key(world.seller.key), size=100, rounds=1, memory_mib=0)


@pytest.mark.parametrize(
    ("skills", "resources"), [(("Risk",), ()), (("risk=101%",), ()), ((), ("memory_gib",)), ((), ("memory_gib=-1",))]
)
async def test_what_cannot_be_certified_is_said(
    world: World, skills: tuple[str, ...], resources: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError):
        await world.issuer.owner.certify(
            CertifyRequest(peer=did_key(world.seller.key), skills=skills, resources=resources)
        )


async def test_a_revoked_certificate_and_one_that_forgets_are_refused(world: World) -> None:
    inspector = world.buyer.parts.proofs.inspector
    first = await world.certify(figures={("memory_gib", None): 96})
    assert (await inspector.certificates(await world.session()))[0].problem is None
    issuer = world.issuer.parts.store.credentials
    await issuer.revoke(first.certificate.jti[:8], 0)
    (checked,) = await inspector.certificates(await world.session())
    assert checked.problem is not None
    assert checked.problem.reason == "revoked"
    # A new tree after a revocation is a new beginning; another new one, without, forgets.
    await world.certify(figures={("memory_gib", None): 64}, serial="1" * 32)
    found = {one.certificate.jti: one for one in await inspector.certificates(await world.session()) if one.certificate}
    assert found["1" * 32].problem is None
    await world.certify(figures={("memory_gib", None): 32, ("disk_gib", None): 64}, serial="2" * 32)
    found = {one.certificate.jti: one for one in await inspector.certificates(await world.session()) if one.certificate}
    problem = found["2" * 32].problem
    assert problem is not None
    assert problem.reason == "not_grown"


async def test_somebody_elses_certificate_is_refused(world: World) -> None:
    made = await world.certify(figures={})
    store = world.buyer.parts.store.credentials
    await store.keep(
        world.issuer.key, made.token, encode_credential(made), expires_unix_s=2**40, unix_ms=0, replaces=None
    )
    session = await world.issuer.parts.peers.session(world.buyer.key, world.buyer.endpoint)
    (checked,) = await world.issuer.parts.proofs.inspector.certificates(session)
    assert checked.problem is not None
    assert checked.problem.reason == "wrong_subject"


async def test_at_least_is_shown_by_tier_and_by_range_proof_and_not_without_end(world: World) -> None:
    await world.certify(figures={("memory_gib", "left"): 40, ("memory_gib", "right"): 30})
    inspector, session = world.buyer.parts.proofs.inspector, await world.session()
    assert len(await inspector.at_least(session, "memory_gib", 32, hidden=False)) == 1
    assert len(await inspector.at_least(session, "memory_gib", 64, hidden=True)) == 2
    with pytest.raises(NodeError, match="does not have 128"):
        await inspector.at_least(session, "memory_gib", 128, hidden=True)
    with pytest.raises(NodeError, match="3 questions in 24 hours"):
        await inspector.at_least(session, "memory_gib", 32, hidden=False)
    with pytest.raises(ProofError, match="ask for 64"):
        await inspector.at_least(session, "memory_gib", 50, hidden=False)
    with pytest.raises(NodeError, match="ask for 64"):
        await session.request(AtLeastRequest(name="memory_gib", at_least=50, nonce=bytes(32)), timeout_s=60.0)


async def test_a_peer_is_put_to_the_test_within_its_limits(world: World) -> None:
    session, buyer = await world.session(), world.buyer.parts

    async def put(work: Work) -> float:
        return (await attest(session, work, own_key=world.buyer.key, env=buyer.env, timeout_s=60.0)).rate_gops

    assert await put(Work(256, 2)) > 0
    assert await put(Work(256, 1, 16)) > 0
    with pytest.raises(NodeError, match="2 questions in 24 hours"):
        await put(Work(256, 1))
    with pytest.raises(NodeError, match="lets peers test up to 256 rows and 2 rounds"):
        await put(Work(512, 1))
    with pytest.raises(NodeError, match="fill 16 MiB"):
        await put(Work(256, 1, 32))


async def test_who_allows_no_attestation_gives_none(world: World) -> None:
    session = await world.seller.parts.peers.session(world.buyer.key, world.buyer.endpoint)
    with pytest.raises(NodeError, match="lets peers test nothing"):
        await session.request(AttestationRequest(drawn=bytes(32), size=256, rounds=1), timeout_s=60.0)
