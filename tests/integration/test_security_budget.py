"""The security budget between real nodes: the gate that refused is named, a proof opens it, a task only narrows it."""

from dataclasses import replace

from crypto.identity import Identity, did_key
from node.decision.evidence import Need
from node.decision.security import Grant
from node.decision.security_config import SecurityConfig
from node.outsource.client.clearance import Clearance
from node.outsource.config import ContractorConfig
from node.store.database import Database
from node.store.drifting import Drifting
from node.store.examinations import Attested, Examinations
from node.store.migrations import NODE
from node.store.shown import ShownClaim, ShownProofs
from node.views import AskRequest
from tests.harness.nodes import world

TEXT = "The room was not clean, but the staff were wonderful."


ISSUER, OTHER = Identity(b"i" * 32), Identity(b"j" * 32)


def certified(claim: str, now_unix_ms: int, *, by: Identity = ISSUER, amount: int = 900_000) -> ShownClaim:
    return ShownClaim(
        proof="certificate",
        claim=claim,
        attester=by.public_key,
        amount=amount,
        shown_unix_ms=now_unix_ms,
        until_unix_ms=now_unix_ms + 60_000_000,
    )


async def test_a_seller_gets_work_only_once_it_has_shown_what_the_budget_asks_for() -> None:
    async with world() as made:
        seller = await made.seller()
        grants = (Grant(privacy="internal", proofs=("certificate",)),)
        buyer = await made.buyer(sections={"security": SecurityConfig(grants=grants)})
        asked = AskRequest(skill="sentiment", text=TEXT, privacy="public")
        decision = await buyer.owner.decide(asked)
        assert decision.choice == "local"
        (out,) = [row.note for row in decision.options if row.name != "local"]
        assert "has not shown a believed certificate lately: security.grants" in out
        now = buyer.parts.env.unix_ms()
        await buyer.parts.store.shown.showed(seller.key, [certified("skill:sentiment", now)])
        assert (await buyer.owner.decide(asked)).choice == "outsource"
        assert (await buyer.ask("sentiment", TEXT, privacy="internal")).choice == "outsource"
        assert (await buyer.ask("sentiment", TEXT, privacy="confidential")).choice == "local", "too private"


async def test_a_task_can_ask_for_more_than_the_budget_does() -> None:
    async with world() as made:
        seller = await made.seller()
        buyer = await made.buyer()
        assert (await buyer.ask("sentiment", TEXT, only_to=(did_key(seller.key),))).choice == "outsource"
        assert (await buyer.ask("sentiment", TEXT, only_to=("did:key:z6MkNobody",))).choice == "local"
        task = await buyer.ask("sentiment", TEXT, proofs=("attestation",))
        assert task.choice == "local"
        options = (await buyer.owner.decide(AskRequest(skill="sentiment", text=TEXT, proofs=("attestation",)))).options
        assert any("has not shown an attestation lately, which the task demands" in row.note for row in options)


async def test_a_budget_can_say_which_claim_by_whom_how_much_how_fresh_and_where() -> None:
    need = Need(proof="certificate", claim="skill", by=(did_key(ISSUER.public_key),), at_least=0.9, within_s=3600)
    grants = (Grant(privacy="internal", regions=("eu",), needs=(need,)),)
    asked = AskRequest(skill="sentiment", text=TEXT, privacy="internal")
    async with world() as made:
        seller = await made.seller(sections={"contractor": ContractorConfig(regions=("eu",))})
        buyer = await made.buyer(sections={"security": SecurityConfig(grants=grants)})
        shown = buyer.parts.store.shown

        async def refused() -> str:
            decision = await buyer.owner.decide(asked)
            (note,) = [row.note for row in decision.options if row.name != "local"]
            return note

        now = buyer.parts.env.unix_ms()
        by = did_key(ISSUER.public_key)
        missing = f"has not shown a believed certificate about skill:sentiment, at least 0.9 by {by} within 60 min"
        assert f"{missing}: security.grants" in await refused()
        for wrong in (
            certified("skill:risk", now),  # another skill
            certified("skill:sentiment", now, by=OTHER),  # on somebody else's word
            certified("skill:sentiment", now, amount=890_000),  # too little
            certified("skill:sentiment", now - 3_700_000),  # too long ago
        ):
            await shown.withdrew(seller.key, "certificate")
            await shown.showed(seller.key, [wrong])
            assert missing in await refused(), wrong
        await shown.showed(seller.key, [certified("skill:sentiment", now)])
        assert (await buyer.owner.decide(asked)).choice == "outsource"


def attested(unix_ms: int, size: int, rate_gops: int, memory_mib: int = 0, *, holds: bool = True) -> Attested:
    return Attested(
        unix_ms=unix_ms, holds=holds, size=size, rounds=8, memory_mib=memory_mib, rate_mops=rate_gops * 1000, problem=""
    )


async def test_what_shows_less_takes_back_nothing_and_what_fails_takes_back_all() -> None:
    database, now = await Database.open(None, NODE), 1_000_000_000
    shown, examinations = ShownProofs(database), Examinations(database)
    clearance = Clearance(SecurityConfig(), shown, examinations, Drifting(database))
    key = OTHER.public_key

    async def counts(claim: str) -> list[tuple[float, float]]:
        standing = (await clearance.standing([key], now))[key]
        return [(one.amount, one.age_s) for one in standing.evidence if one.claim == claim]

    for age_s, amount in ((60, 64), (50, 32), (40, 32)):
        claim = certified("resource:memory_gib", now - age_s * 1000, amount=amount)
        await shown.showed(key, [replace(claim, proof="at-least")])
    assert await counts("resource:memory_gib") == [(32, 40), (64, 60)]
    for one in (attested(now - 30_000, 2048, 40, 256), attested(now - 20_000, 256, 2), attested(now - 10_000, 256, 3)):
        await examinations.attested(key, one)
    assert await counts("compute") == [(3, 10), (40, 30)]
    assert await counts("memory") == [(256, 30)]
    await examinations.attested(key, attested(now - 5_000, 2048, 9))
    assert await counts("compute") == [(9, 5)], "as large as before, and slower"
    await examinations.attested(key, attested(now - 4_000, 256, 0, holds=False))
    assert await counts("compute") == await counts("memory") == []
    await database.close()
