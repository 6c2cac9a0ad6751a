"""Sellers that seem to have changed: attested again by itself, within limits, and held to it until that holds."""

import asyncio
from collections.abc import Callable
from typing import Any

from crypto.identity import did_key, short_id
from node.attestation.config import AttestationConfig
from node.decision.security import Grant
from node.decision.security_config import SecurityConfig
from node.examination.again import ExaminationConfig
from node.net.session import Call
from node.outsource.config import ContractorConfig
from node.store.history import JobOutcome
from node.views import AskRequest, AttestedRow, ExaminedView
from protocol.messages import (
    AttestationBegun,
    AttestationData,
    AttestationRequest,
    AttestationStep,
    CertificatesFound,
    CertificatesRequest,
    Message,
)
from tests.harness.dealing import Seller, on_sale
from tests.harness.nodes import LIMIT_S, Node, World, world

SKILL = "sentiment"
TEXT = "The room was not clean, but the staff were wonderful."
OLD, NEW = "hasResource/gpu/nvidia/a100", "hasResource/gpu/nvidia/h100"


async def attested_seller(made: World, *, machine: str = OLD, **attestation: Any) -> Node:
    sections = {
        "attestation": AttestationConfig(max_size=256, max_rounds=8, **attestation),
        "contractor": ContractorConfig(skills=(SKILL,), has=(machine,)),
    }
    return await made.seller(sections=sections)


async def now_with(seller: Node, machine: str, **attestation: Any) -> None:
    """The same seller, on another machine."""
    seller.plan.sections = {
        **seller.plan.sections,
        "contractor": ContractorConfig(skills=(SKILL,), has=(machine,)),
        **({"attestation": AttestationConfig(**attestation)} if attestation else {}),
    }
    await seller.restart()


async def shown_until(buyer: Node, seller: Node | Seller, holds: Callable[[ExaminedView], bool]) -> ExaminedView:
    """What the buyer knows of the seller, once it is so."""
    async with asyncio.timeout(LIMIT_S):
        while not holds(view := await buyer.owner.examined(did_key(seller.key))):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return view


def again(view: ExaminedView) -> list[AttestedRow]:
    """The attestations that the buyer asked for by itself, the latest first."""
    return [row for row in view.attestations if row.reason]


async def said(buyer: Node, task: str, name: str) -> list[str]:
    return [row.text for row in (await buyer.owner.why(task)).timeline if row.name == name]


async def test_a_seller_whose_machine_changes_is_attested_again_and_its_old_proofs_count_no_more() -> None:
    grants = (Grant(privacy="internal", proofs=("attestation",)),)
    async with world() as made:
        seller = await attested_seller(made)
        buyer = await made.buyer(sections={"security": SecurityConfig(grants=grants)})
        assert (await buyer.owner.attest(did_key(seller.key), size=256, rounds=1, memory_mib=0)).holds
        assert (await buyer.ask(SKILL, TEXT)).choice == "outsource"
        assert not again(await buyer.owner.examined(did_key(seller.key))), "nothing has changed"

        await now_with(seller, NEW, max_size=0)  # and is attested by nobody any more
        task = await buyer.ask(SKILL, TEXT)
        assert task.choice == "local"
        why = f"its machine was {OLD} and is {NEW}"
        (note,) = [row.note for row in (await buyer.owner.why(task.id)).decision.options if row.name != "local"]  # type: ignore[union-attr]
        assert f"has not shown an attestation since it seems to have changed ({why}): security.grants" in note
        (drifted,) = await said(buyer, task.id, "drifted")
        assert f"{short_id(seller.key)} seems to have changed: {why}" in drifted
        view = await shown_until(buyer, seller, lambda view: bool(again(view)))
        (row,) = again(view)
        assert (row.done, row.holds, row.reason) == (False, False, why)
        assert "lets peers test nothing" in row.problem
        assert (view.drift, view.drift_unix_ms is None) == (why, False)


async def test_what_the_new_attestation_says_is_shown_and_opens_the_gate_again() -> None:
    grants = (Grant(privacy="internal", proofs=("attestation",)),)
    async with world() as made:
        seller = await attested_seller(made)
        buyer = await made.buyer(sections={"security": SecurityConfig(grants=grants)})
        await buyer.owner.attest(did_key(seller.key), size=256, rounds=1, memory_mib=0)
        await buyer.ask(SKILL, TEXT)
        await now_with(seller, NEW)
        await buyer.ask(SKILL, TEXT)
        view = await shown_until(buyer, seller, lambda view: bool(again(view)))
        (row,) = again(view)
        assert (row.done, row.holds, row.size, row.rounds, view.drift) == (True, True, 256, 1, ""), row
        assert row.reason == f"its machine was {OLD} and is {NEW}"
        task = await buyer.ask(SKILL, TEXT)
        assert task.choice == "outsource"
        assert not again(await buyer.owner.examined(did_key(seller.key)))[1:], "it is compared with what it is now"


async def test_a_seller_whose_jobs_come_to_take_longer_is_attested_again() -> None:
    async with world() as made:
        seller, buyer = await attested_seller(made), await made.buyer()
        await jobs_of(buyer, seller, [10] * 20 + [200] * 12)
        task = await buyer.ask(SKILL, TEXT)
        assert task.peer == short_id(seller.key)
        view = await shown_until(buyer, seller, lambda view: bool(again(view)))
        (row,) = again(view)
        assert (row.holds, row.reason) == (True, f"{SKILL}: its jobs take longer than they did")
        assert view.drift == "", "a new band begins"
        later = await buyer.ask(SKILL, TEXT)
        (drifted,) = await said(buyer, later.id, "drifted")
        assert "its jobs take longer than they did; attested again" in drifted
        assert "billion operations a second" in drifted


class Pretending(Seller):
    """Commits to products that it never made."""

    async def handle(self, call: Call) -> Message:
        match call.body:
            case CertificatesRequest():
                return CertificatesFound()
            case AttestationRequest(rounds=rounds):
                return AttestationBegun(attestation_id=bytes(16), roots=(bytes(32),) * rounds)
            case AttestationStep():
                return AttestationData(data=bytes(64))
            case _:
                return await super().handle(call)


async def test_an_attestation_that_does_not_hold_counts_as_a_failed_job_and_the_doubt_stays() -> None:
    async with world() as made:
        buyer, seller = await made.buyer(), Pretending()
        async with on_sale(seller, [buyer.endpoint]):
            await jobs_of(buyer, seller, [10] * 20 + [200] * 12)
            await buyer.ask(SKILL, TEXT, only=did_key(seller.key))
            view = await shown_until(buyer, seller, lambda view: bool(again(view)))
            (row,) = again(view)
            assert (row.done, row.holds) == (True, False)
            assert row.problem
            assert "its jobs take longer than they did" in view.drift
            recent = await buyer.parts.store.outcomes.recent(seller.key)
            assert [job.skill for job in recent if job.kind == "attestation" and not job.success] == [SKILL]


async def test_a_seller_is_attested_again_so_often_a_day_and_no_more() -> None:
    limits = ExaminationConfig(again_per_seller_per_day=1)
    async with world() as made:
        seller, buyer = await attested_seller(made), await made.buyer(sections={"examination": limits})
        await buyer.ask(SKILL, TEXT)
        await buyer.ask(SKILL, TEXT)  # by now it has been dealt with, and what it states is known
        await now_with(seller, NEW)
        await buyer.ask(SKILL, TEXT)
        await shown_until(buyer, seller, lambda view: bool(again(view)))
        await buyer.ask(SKILL, TEXT)
        await now_with(seller, OLD)
        await buyer.ask(SKILL, TEXT)
        await buyer.parts.in_background.end(LIMIT_S)
        view = await buyer.owner.examined(did_key(seller.key))
        assert len(again(view)) == 1
        assert view.drift == f"its machine was {NEW} and is {OLD}", "it is known, and waits"


async def test_a_seller_that_was_never_hired_nor_attested_is_left_alone_and_0_asks_nobody() -> None:
    async with world() as made:
        seller = await attested_seller(made)
        stranger = await made.node(sections={"contractor": ContractorConfig(sell=False)})  # cheap: it buys nothing
        off = await made.buyer(sections={"examination": ExaminationConfig(again_per_day=0)})
        await stranger.owner.decide(AskRequest(skill=SKILL, text=TEXT))
        await off.ask(SKILL, TEXT)
        await off.ask(SKILL, TEXT)
        await now_with(seller, NEW)
        for node, drifts in ((stranger, False), (off, True)):
            await node.ask(SKILL, TEXT)
            await node.parts.in_background.end(LIMIT_S)
            view = await node.owner.examined(did_key(seller.key))
            assert (again(view), bool(view.drift)) == ([], drifts)


async def jobs_of(buyer: Node, seller: Node | Seller, took_ms: list[int]) -> None:
    """So many good jobs, the last just now."""
    now = buyer.parts.env.unix_ms()
    for number, duration_ms in enumerate(took_ms):
        await buyer.parts.store.outcomes.record(
            JobOutcome(
                task_id=number.to_bytes(16, "big"),
                contractor=seller.key,
                skill=SKILL,
                unix_ms=now - (len(took_ms) - number) * 1000,
                success=True,
                kind="ok",
                duration_ms=duration_ms,
            )
        )
