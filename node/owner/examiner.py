"""The owner's side of examining sellers: test a skill by hidden items, look at what is known, report a leak."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from crypto.identity import did_key, short_id
from node.daemon import Parts
from node.errors import CANCELLED, UsageError
from node.examination.honeytokens import tokens_in
from node.examination.items import Item, ItemSet, read_items
from node.examination.sequential import SequentialTest, Verdict
from node.outsource.client.marking import Marking
from node.owner.names import find_peer
from node.proofs.errors import ProofError
from node.skills.labels import check_label
from node.store.examinations import Attested, Tested
from node.store.history import JobOutcome
from node.views import (
    AskRequest,
    AttestedRow,
    CanaryRow,
    ExaminedView,
    InputFile,
    LeakRequest,
    LeakView,
    ProvedRow,
    SkillTestRequest,
    SkillTestView,
    TestedRow,
)

ITEMS_LABEL: Final = b"coalesced/skill-test-items/1"
"""The signature under it is never sent: the secret that items are salted with."""
PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class _Answer:
    """`good` is None where the task says nothing of the skill; then `why` does."""

    good: bool | None
    paid_micro: int
    why: str = ""


class Examiner:
    """`peer_keys` gives the keys that a short id may mean."""

    def __init__(self, parts: Parts, peer_keys: Callable[[], Awaitable[set[bytes]]]) -> None:
        self._parts = parts
        self._peer_keys = peer_keys
        self._marking = Marking(parts.env, parts.store.outcomes)

    async def test(self, request: SkillTestRequest) -> SkillTestView:
        """Ask item after item of the seller, as ordinary tasks, until the answers suffice."""
        parts, key = self._parts, find_peer(request.peer, await self._peer_keys())
        check_label(request.skill)
        try:
            rule = SequentialTest(claimed=request.claimed_ppm / PPM, too_low=request.too_low_ppm / PPM)
            items = read_items(request.items, parts.identity.sign(ITEMS_LABEL, parts.network.encode()))
            retired = await parts.store.examinations.retired([item.input_sha256 for item in items.items])
            left = items.unasked(retired)
        except (ProofError, ValueError) as error:
            raise UsageError(str(error)) from error
        parts.env.rng.shuffle(left)  # what was written first is not what leaks first
        return await self._tested(key, request, rule, items, left[: request.most])

    async def _tested(
        self, key: bytes, request: SkillTestRequest, rule: SequentialTest, items: ItemSet, left: list[int]
    ) -> SkillTestView:
        good = bad = paid = 0
        ended = f"all {len(left)} items were asked"
        verdict: Verdict = "open"
        for index in left:
            budget = None if request.budget_micro is None else request.budget_micro - paid
            if budget is not None and budget <= 0:
                ended = "the budget is spent"
                break
            answer = await self._answer(key, request.skill, items.items[index], budget)
            paid += answer.paid_micro
            if answer.good is None:
                ended = answer.why
                break
            good, bad = good + answer.good, bad + (not answer.good)
            verdict = rule.verdict(good, bad)
            if verdict != "open":
                ended = ""
                break
        now = self._parts.env.unix_ms()
        found = Tested(
            skill=request.skill,
            unix_ms=now,
            verdict=verdict,
            good=good,
            bad=bad,
            items_root=items.root,
            items=len(items.items),
        )
        if good + bad:
            await self._parts.store.examinations.tested(key, found)
        return SkillTestView(
            peer=short_id(key),
            did=did_key(key),
            skill=request.skill,
            verdict=verdict,
            good=good,
            bad=bad,
            paid_micro=paid,
            items_root=items.root.hex(),
            items=len(items.items),
            unix_ms=now,
            ended=ended,
        )

    async def _answer(self, key: bytes, skill: str, item: Item, budget_micro: int | None) -> _Answer:
        """One item as a task for this seller alone. The item is retired before anybody is sent it."""
        parts = self._parts
        await parts.store.examinations.asked(item.input_sha256, parts.env.unix_ms())
        task_id = await parts.client.submit(
            AskRequest(
                skill=skill,
                files=(InputFile(name="input", media_type=item.media_type, data=item.input.encode()),),
                budget_micro=budget_micro,
                only=did_key(key),
                privacy="public",  # it is written to be shown to this seller
            )
        )
        async for _ in parts.tasks.watch(task_id):
            pass
        view = await parts.tasks.view(task_id)
        paid = view.cost_micro or 0
        if view.state == "completed":
            result = await parts.client.result(task_id)
            return _Answer(await self._marking.is_right("test", task_id, key, skill, item, result), paid)
        code, text = (view.error.code, view.error.text) if view.error else ("", view.state)
        # Without an award nothing was asked of the seller: our limits, its refusal, a network that is down.
        return _Answer(False if view.peer and code != CANCELLED else None, paid, text)

    async def examined(self, text: str) -> ExaminedView:
        """What is known of a peer by own examination."""
        parts, key = self._parts, find_peer(text, await self._peer_keys())
        found = (await parts.store.examinations.of([key]))[key]
        drift = await parts.reexaminer.look(key)
        since = (await parts.store.drifting.drifts([key])).get(key)
        attested = found.attested
        shown = (await parts.store.shown.of([key], parts.env.unix_ms()))[key]
        return ExaminedView(
            peer=short_id(key),
            did=did_key(key),
            attested_unix_ms=attested.unix_ms if attested else None,
            attestation_holds=bool(attested and attested.holds),
            rate_gops=attested.rate_mops / 1000 if attested else 0.0,
            problem=attested.problem if attested else "",
            drift=drift,
            drift_unix_ms=since.unix_ms if since else None,
            leaks=found.leaks,
            tests=tuple(
                TestedRow(
                    skill=one.skill,
                    verdict=one.verdict,
                    good=one.good,
                    bad=one.bad,
                    items_root=one.items_root.hex(),
                    unix_ms=one.unix_ms,
                )
                for one in found.tests
            ),
            attestations=tuple(map(_attested_row, found.attestations)),
            canaries=tuple(
                CanaryRow(skill=one.skill, good=one.good, bad=one.bad, unix_ms=one.unix_ms) for one in found.canaries
            ),
            proved=tuple(
                ProvedRow(
                    name=one.claim.removeprefix("resource:"),
                    at_least=one.amount,
                    issuer=short_id(one.attester),
                    unix_ms=one.shown_unix_ms,
                )
                for one in shown
                if one.proof == "at-least" and one.claim
            ),
        )

    async def report_leak(self, request: LeakRequest) -> LeakView:
        """Which sellers were sent the input that a honeytoken stood in. UsageError where there is none of ours.

        To each it counts as a failed job, once: what a decision knows of a seller are its jobs.
        """
        now = self._parts.env.unix_ms()
        for token in tokens_in(request.text):
            if (found := await self._parts.store.examinations.leaked(token, now)) is not None:
                task_id, sellers = found
                skill = (await self._parts.store.tasks.get(task_id)).skill
                leak_id = hashlib.sha256(token.encode()).digest()[:16]
                for key in sellers:
                    await self._parts.store.outcomes.record(
                        JobOutcome(
                            task_id=leak_id, contractor=key, skill=skill, unix_ms=now, success=False, kind="leak"
                        )
                    )
                return LeakView(
                    token=token,
                    task=task_id.hex(),
                    sellers=tuple(short_id(key) for key in sellers),
                    dids=tuple(did_key(key) for key in sellers),
                )
        raise UsageError("no honeytoken of this node is in that text")


def _attested_row(one: Attested) -> AttestedRow:
    return AttestedRow(
        unix_ms=one.unix_ms,
        reason=one.reason,
        done=one.done,
        holds=one.holds,
        size=one.size,
        rounds=one.rounds,
        memory_mib=one.memory_mib,
        rate_gops=one.rate_mops / 1000,
        problem=one.problem,
    )
