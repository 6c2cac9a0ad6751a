"""Probing: small tasks with known answers, ordered like any other, one at a time, within the budgets.

A probe is an ordinary task: every field of it is as in an order with this node's defaults, its gaps are drawn, and its
answer is checked before it is paid. What a seller can know is this node's key; what follows is in docs/market-maker.md.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from crypto.identity import did_key, short_id
from node.decision.decision import Decision
from node.env import Env
from node.errors import NodeError
from node.ledger.journal import open_body
from node.marketmaker.questions import Questions
from node.outsource.client.request import Undisclosed
from node.outsource.client.seller import Listing
from node.outsource.client.subscriptions import Order
from node.priors.config import MarketMakerConfig
from node.priors.document import Ending
from node.priors.picking import Purse, Target, pick
from node.store.decisions import Decisions
from node.store.journal_store import Journal
from node.store.probes import Ended, Probes, Unproved
from node.store.tasks import TaskRow
from node.views import AskRequest, InputFile
from protocol.receipts import Receipt, Signed
from protocol.signed import FaultTerms

log = structlog.get_logger()

DAY_MS: Final = 86_400_000
MOST_GAPS: Final = 5.0
"""The longest gap, in means: one in 150 would be longer."""


class Prober:
    """One node's probes. `asked` says how many documents about a skill were sold lately."""

    def __init__(
        self,
        *,
        config: MarketMakerConfig,
        env: Env,
        probes: Probes,
        questions: Questions,
        listings: Callable[[str], Awaitable[list[Listing]]],
        order: Order,
        decisions: Decisions,
        journal: Journal,
        asked: Callable[[str], int],
    ) -> None:
        self._config = config
        self._env = env
        self._probes = probes
        self._questions = questions
        self._listings = listings
        self._order = order
        self._decisions = decisions
        self._journal = journal
        self._asked = asked

    @property
    def skills(self) -> tuple[str, ...]:
        """What sellers are probed for."""
        possible = self._questions.skills
        return tuple(skill for skill in self._config.skills if skill in possible) if self._config.skills else possible

    async def run(self) -> None:
        """Probe now and then, until cancelled."""
        while True:
            gap_s = min(MOST_GAPS, self._env.rng.expovariate(1.0)) * self._config.probe_every_s
            await asyncio.sleep(gap_s)
            try:
                await self.step()
            except NodeError as error:
                log.info("probe.not_made", error=str(error))

    async def step(self) -> Target | None:
        """One probe, seen through; None where nobody is to be probed, or can be paid for."""
        purse = await self.purse()
        target = pick(await self._targets(), purse, self._env.rng.random())
        question = None if target is None else await self._questions.draw(target.skill)
        if target is None or question is None:
            return None
        probe_id, most_micro = self._env.entropy(16), purse.for_seller(target.seller)
        await self._probes.reserve(probe_id, target.seller, target.skill, most_micro, self._env.unix_ms())
        data = InputFile(name="input", media_type=question.content.media_type, data=question.content.data)
        request = AskRequest(skill=target.skill, files=(data,), only=did_key(target.seller))
        try:
            row = await self._order(request, Undisclosed(purse_micro=most_micro, check=question.judge))
        except NodeError:
            await self._probes.release(probe_id)  # It was not taken on: nobody was asked, and nothing is spent.
            raise
        ended = await self._ended(row, target.seller)
        await self._probes.end(probe_id, row.task_id, ended)
        log.info("probe.made", seller=short_id(target.seller), skill=target.skill, paid_micro=ended.paid_micro)
        return target

    async def purse(self) -> Purse:
        """What may be spent now."""
        spent = await self._probes.spent_micro(self._env.unix_ms())
        return Purse(
            left_micro=max(0, self._config.probe_budget_micro - sum(spent.values())),
            each_micro=self._config.seller_budget_micro,
            spent_micro=spent,
        )

    async def _targets(self) -> list[Target]:
        await self.prove()
        targets = []
        for skill in self.skills:
            sellers = [listing.seller.key for listing in await self._listings(skill)]
            good, bad = await self._counts(skill)
            tries = await self._probes.tries(skill, self._since())
            quotes = await self._probes.last_quotes(skill, sellers)
            targets += [
                Target(
                    seller=key,
                    skill=skill,
                    good=good[key],
                    bad=bad[key],
                    tries=tries.get(key, 0),
                    price_micro=quotes.get(key),
                    asked=self._asked(skill),
                )
                for key in sellers
            ]
        return targets

    async def _counts(self, skill: str) -> tuple[Counter[bytes], Counter[bytes]]:
        """Good and bad probes by seller."""
        probes = await self._probes.of_skill(skill, self._since())
        good = Counter(probe.seller for probe in probes if probe.ending == "good")
        return good, Counter(probe.seller for probe in probes if probe.ending != "good")

    def _since(self) -> int:
        return self._env.unix_ms() - self._config.window_days * DAY_MS

    async def _ended(self, row: TaskRow, seller: bytes) -> Ended:
        """What it cost, and what its seller had promised."""
        stored = await self._decisions.of_task(row.task_id)
        candidates = Decision.from_json(stored[-1].body).inputs.candidates if stored else ()
        promised = next((round(1000 * one.duration_s) for one in candidates if one.key == seller), 0)
        return Ended(paid_micro=row.paid_micro, quoted_micro=row.price_micro or 0, promised_ms=promised)

    async def prove(self) -> None:
        """Take the records of ended probes out of the journal: countersignatures come after the result."""
        for probe in await self._probes.unproved(self._since()):
            found = await self._record_of(probe)
            if found is not None:
                await self._probes.prove(probe.probe_id, *found)

    async def _record_of(self, probe: Unproved) -> tuple[Ending, bytes, int] | None:
        """How a probe ended and how long it took, by the journal; None while nothing shows it: then it counts for
        nothing."""
        found: tuple[Ending, bytes, int] | None = None
        for entry in await self._journal.of_task(probe.task_id):
            if entry.kind not in ("receipt", "fault"):
                continue
            content = open_body(entry.kind, entry.body)
            if isinstance(content, Receipt) and content.terms.contractor == probe.seller:
                took_ms = content.terms.finished_unix_ms - content.terms.awarded_unix_ms
                return ("good" if content.terms.verdict == "accepted" else "bad"), entry.body, took_ms
            terms = content.terms if isinstance(content, Signed) else None
            # A refused countersignature is no fault of the work; and work without a receipt cannot be shown to anybody.
            is_fault = isinstance(terms, FaultTerms) and terms.kind != "refused_receipt"
            if isinstance(terms, FaultTerms) and is_fault and terms.contractor == probe.seller:
                found = "fault", entry.body, 0
        return found
