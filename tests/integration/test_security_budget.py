"""The security budget between real nodes: the gate that refused is named, a proof opens it, a task only narrows it."""

from crypto.identity import did_key
from node.decision.security import Grant
from node.decision.security_config import SecurityConfig
from node.views import AskRequest
from tests.harness.nodes import world

TEXT = "The room was not clean, but the staff were wonderful."


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
        await buyer.parts.store.shown.proved(seller.key, "certificate", now, now + 60_000)
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
