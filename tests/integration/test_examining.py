"""Sellers put to the test by hidden items over ordinary paid tasks; leaks reported; attestations remembered."""

import asyncio
import json
from pathlib import Path

import pytest

from coalesced.compose.buying import EXAMINING_LABEL
from crypto.identity import did_key, short_id
from node.attestation.config import AttestationConfig
from node.decision.verification import VerificationConfig
from node.errors import UsageError
from node.examination.honeytokens import honeytoken
from node.execute.corpus import sentiment_case
from node.execute.job import Job
from node.outsource.config import ClientConfig, ContractorConfig
from node.views import AskRequest, InputFile, LeakRequest, SkillTestRequest
from tests.harness.nodes import DEAR, LIMIT_S, NETWORK, Node, World

SKILL = "sentiment"


async def items_for(node: Node, count: int, *, wrong: bool = False, sentences: int = 2) -> str:
    """An items file whose answers are those of the skill itself, or false ones."""
    lines = []
    for seed in range(count):
        data = sentiment_case(seed, texts=1, sentences=sentences).input
        done = await node.parts.executor.run(Job(SKILL, data, "application/json", timeout_s=20))
        expected = '{"scores": []}' if wrong else done.output.decode()
        lines.append(json.dumps({"input": data.decode(), "media_type": "application/json", "expected": expected}))
    return "\n".join(lines)


async def test_an_honest_sellers_claim_stands_after_eleven_paid_items_and_none_is_asked_again() -> None:
    async with World() as world:
        seller, buyer = await world.seller(), await world.buyer()
        items = await items_for(seller, 14)
        order = SkillTestRequest(peer=did_key(seller.key), skill=SKILL, items=items)
        found = await buyer.owner.test_skill(order)
        assert (found.verdict, found.good, found.bad, found.items) == ("stands", 11, 0, 14)
        assert found.paid_micro > 0
        assert len(await seller.journal("receipt")) >= 10
        (row,) = (await buyer.owner.examined(short_id(seller.key))).tests
        assert (row.verdict, row.items_root) == ("stands", found.items_root)

        again = await buyer.owner.test_skill(order)
        assert (again.verdict, again.good) == ("open", 3)
        assert "3 items were asked" in again.ended
        with pytest.raises(UsageError, match="asked before"):
            await buyer.owner.test_skill(order)


async def test_a_seller_that_answers_wrong_is_found_out_within_five_items_and_a_budget_ends_a_test() -> None:
    async with World() as world:
        seller, buyer = await world.seller(), await world.buyer()
        items = await items_for(seller, 9, wrong=True)
        order = SkillTestRequest(peer=did_key(seller.key), skill=SKILL, items=items, most=1, budget_micro=1)
        poor = await buyer.owner.test_skill(order)
        assert (poor.verdict, poor.good, poor.bad) == ("open", 0, 0)
        found = await buyer.owner.test_skill(SkillTestRequest(peer=did_key(seller.key), skill=SKILL, items=items))
        assert (found.verdict, found.good, found.bad) == ("falls", 0, 5)
        jobs = await buyer.parts.store.outcomes.recent(seller.key)
        assert [job.skill for job in jobs if job.kind == "test" and not job.success] == [SKILL] * 5


async def test_a_leaked_token_names_the_seller_that_was_sent_it() -> None:
    async with World() as world:
        seller, buyer = await world.seller(), await world.buyer()
        task = await buyer.ask(SKILL, sentiment_case(1).input.decode(), only=did_key(seller.key))
        assert task.peer == short_id(seller.key)
        store, token = buyer.parts.store.examinations, "ABCD-EFGH-2345-67AB"
        await store.planted(token, bytes.fromhex(task.id), 1)
        leak = await buyer.owner.report_leak(LeakRequest(text=f"found on a forum: {token.lower()}."))
        assert leak.dids == (did_key(seller.key),)
        assert (await buyer.owner.examined(did_key(seller.key))).leaks == 1
        assert [job.kind for job in await buyer.parts.store.outcomes.recent(seller.key)].count("leak") == 1
        with pytest.raises(UsageError, match="no honeytoken"):
            await buyer.owner.report_leak(LeakRequest(text="ZZZZ-ZZZZ-ZZZZ-ZZZZ"))


async def test_an_attestation_is_remembered_with_its_age(tmp_path: Path) -> None:
    allowed = {"attestation": AttestationConfig(max_size=256, max_rounds=2)}
    async with World() as world:
        seller = await world.node(directory=tmp_path / "seller", sections=allowed)
        buyer = await world.node(
            directory=tmp_path / "buyer", sections={"machine": DEAR, "contractor": ContractorConfig(sell=False)}
        )
        shown = await buyer.owner.attest(did_key(seller.key), size=256, rounds=1, memory_mib=0)
        assert shown.holds
        found = await buyer.owner.examined(did_key(seller.key))
        assert found.attested_unix_ms is not None
        assert found.attestation_holds
        assert found.rate_gops == pytest.approx(shown.rate_gops, abs=0.001)


async def test_a_canary_follows_a_real_order_and_a_wrong_answer_counts_against_the_seller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.examination.canaries.MEAN_DELAY_S", 0.001)
    async with World() as world:
        seller = await world.seller()
        file = tmp_path / "canaries.jsonl"
        file.write_text(await items_for(seller, 12, wrong=True, sentences=300))
        canaries = VerificationConfig(canaries={SKILL: str(file)}, canary_share=0.5)
        buyer = await world.buyer(sections={"verification": canaries})
        outcomes, real = buyer.parts.store.outcomes, 0
        async with asyncio.timeout(LIMIT_S):
            while not any(job.kind == "canary" for job in await outcomes.recent(seller.key)):
                real += 1
                data = sentiment_case(100 + real, texts=1, sentences=300).input
                files = (InputFile(name="input", media_type="application/json", data=data),)
                await buyer.ended(
                    await buyer.parts.client.submit(AskRequest(skill=SKILL, files=files, privacy="public"))
                )
                await asyncio.sleep(0.05)  # for the canary, whose delay is short here


async def test_a_confidential_text_carries_a_token_that_leads_to_the_seller_and_others_none() -> None:
    async with World() as world:
        seller = await world.seller()
        buyer = await world.buyer(sections={"client": ClientConfig(honeytokens=True)})
        fields = {"only": did_key(seller.key), "value_micro": 10**7, "budget_micro": 10**6}
        task = await buyer.ask(SKILL, "It is good.", **{**fields, "privacy": "confidential"})
        assert task.state == "completed"
        row = await buyer.parts.store.tasks.get(bytes.fromhex(task.id))
        assert row.peer == seller.key
        token = honeytoken(buyer.identity.sign(EXAMINING_LABEL, NETWORK.encode()), row.task_id)
        leak = await buyer.owner.report_leak(LeakRequest(text=f"Ref. {token}"))
        assert (leak.task, leak.dids) == (task.id, (did_key(seller.key),))
        other = await buyer.ask(SKILL, "It is good.", **{**fields, "privacy": "public"})
        assert other.input_bytes == len("It is good.")
        json_typed = await buyer.parts.client.submit(
            AskRequest(skill="nobody/sells", text='{"a": 1}', privacy="confidential")
        )
        assert (await buyer.ended(json_typed)).input_bytes == len('{"a": 1}')  # a line more would break it
