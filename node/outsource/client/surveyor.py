"""Looks at the options of a task, here and on the market."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import msgspec

from crypto.identity import short_id
from node.decision.config import DecisionConfig
from node.decision.decision import Decision
from node.decision.inputs import Candidate, Inputs, LocalOption
from node.decision.reliability import History
from node.decision.screening import withheld
from node.decision.whatif import changed
from node.outsource.checking import Checking
from node.outsource.client.askmemory import AskMemory
from node.outsource.client.clearance import Clearance, Standing
from node.outsource.client.hearsay import Hearsay
from node.outsource.client.offers import Market, NoOffer, Offer, Tender
from node.outsource.client.ontheway import OnTheWay
from node.outsource.client.request import Ask
from node.outsource.client.seller import Seller
from node.outsource.client.standings import Standings
from node.outsource.client.survey import Survey, facts_of
from node.outsource.config import ClientConfig
from node.outsource.localwork import LocalWork
from node.outsource.settlement.adapter import Adapter, Charge
from node.skills.labels import nearest
from node.store.history import Outcomes
from node.store.journal_store import Journal
from node.store.policy import PolicyMemories
from node.store.spending import Spending

UNPAYABLE = "unpayable"
"""The code of an offer whose seller wants to be paid in a way that this node cannot."""
SEED_BYTES = 6
"""Of entropy in each decision's seed; it fits a JSON number exactly."""


class Surveyor:
    """Looks at the options of a task, here and on the market."""

    def __init__(
        self,
        *,
        own_key: bytes,
        network: str,
        config: ClientConfig,
        decision: DecisionConfig,
        work: LocalWork,
        checking: Checking,
        market: Market,
        settling: Adapter,
        standings: Standings,
        hearsay: Hearsay,
        clearance: Clearance,
        on_the_way: OnTheWay,
        outcomes: Outcomes,
        spending: Spending,
        journal: Journal,
        memories: PolicyMemories,
        unix_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
        audit_key: bytes,
        id_key: bytes,
    ) -> None:
        self._own_key = own_key
        self._network = network
        self._config = config
        self._decision = _priced(decision, work)
        self._work = work
        self._checking = checking
        self._market = market
        self._settling = settling
        self._standings = standings
        self._hearsay = hearsay
        self._clearance = clearance
        self._on_the_way = on_the_way
        self._outcomes = outcomes
        self._spending = spending
        self._journal = journal
        self._memories = memories
        self._unix_ms = unix_ms
        self._entropy = entropy
        self._audit_key = audit_key
        self._id_key = id_key
        self._asked = AskMemory(config.unasked_most)

    async def alone(self, ask: Ask) -> str:
        """Why nobody else may be asked for this task, as a sentence; empty when they may."""
        if ask.specification.constraints.privacy == "secret":
            return "secret work never leaves this node"
        if (broken := await self._journal.check_end()) is not None:
            return f"nothing is bought while the journal is damaged ({broken}; see `coalesced journal verify`)"
        return ""

    async def needless(self, ask: Ask, local: LocalOption, *, remaining_s: float) -> str:
        """Why asking sellers about this task would be in vain, as a sentence; empty when they are to be asked."""
        facts, config, now_s = facts_of(ask, remaining_s), self._config_of(ask), self._unix_ms() / 1000

        def said(saved_micro: float) -> str:
            return self._asked.needless(ask, facts, local, config, saved_micro=saved_micro, now_unix_s=now_s)

        # The more was saved, the more is asked: what was saved is looked up only where it could still matter.
        return said((await self._memories.load(ask.skill, ())).client.saved_micro) if said(0.0) else ""

    def skipped(self, ask: Ask) -> None:
        """Nobody was asked about this task."""
        self._asked.skipped(ask)

    def asked(self, ask: Ask, decision: Decision) -> None:
        """Remember for tasks like this one what asking has led to."""
        self._asked.learn(ask, decision, self._unix_ms() / 1000)

    async def withheld(self, ask: Ask, key: bytes, regions: tuple[str, ...]) -> str:
        """Why this seller may not see the task's input, whatever its price, as the end of a sentence; else empty."""
        from node.decision.engine import task_value_micro  # see node/decision/__init__.py

        facts, config = facts_of(ask, ask.specification.constraints.deadline_ms / 1000), self._config_of(ask)
        standing = (await self._clearance.standing([key], self._unix_ms())).get(key, Standing())
        stranger = Candidate(
            key=key,
            name=short_id(key),
            price_micro=0,
            duration_s=0.0,
            p95_s=0.0,
            regions=regions,
            advertised_regions=regions,
            shown=standing.proofs,
            evidence=standing.evidence,
            drift=standing.drift,
        )
        value_micro = task_value_micro(facts, self.local(ask), config)
        out = withheld(facts, stranger, value_micro, self._clearance.grants, config)
        return out.text if out is not None else ""

    def has(self, skill: str) -> bool:
        """Whether this node can do `skill` itself, or could if it had the time."""
        return self._work.skill(skill) is not None

    def nearest(self, skill: str) -> tuple[str, ...]:
        """Labels that this node knows and that are like `skill`; empty when it knows `skill` itself."""
        return () if self.has(skill) else nearest(skill, [one.label for one in self._work.executor.skills])

    def local(self, ask: Ask) -> LocalOption:
        """Doing it here."""
        if ask.only is not None:
            return LocalOption(feasible=False, why_not=f"it is meant for {short_id(ask.only)} alone")
        specification, skill = ask.specification, self._work.skill(ask.skill)
        if specification.constraints.privacy == "secret" and skill is not None and skill.sent_to:
            return LocalOption(feasible=False, why_not=f"its input would go to {skill.sent_to}")
        return self._work.option(
            ask.skill,
            specification.effort,
            specification.input.work_units,
            memory_bytes=specification.resources.memory_bytes,
        )

    async def quotes(
        self, ask: Ask, sellers: Sequence[Seller], *, timeout_s: float | None = None
    ) -> tuple[list[Offer], list[NoOffer]]:
        """One quote round over the first of `sellers`."""
        limit_s = self._config.quote_timeout_s if timeout_s is None else min(timeout_s, self._config.quote_timeout_s)
        tender = Tender(
            task_id=ask.task_id,
            id_key=self._id_key,
            specification=ask.specification,
            specification_sha256=ask.specification_sha256,
            network=self._network,
            client=self._own_key,
            timeout_s=limit_s,
        )
        offers, refusals = await self._market.quotes(tender, sellers[: self._config.max_sellers])
        charges = [self._settling.charge(offer.terms) for offer in offers]
        payable = [offer for offer, charge in zip(offers, charges, strict=True) if isinstance(charge, Charge)]
        unpayable = [
            NoOffer(offer.seller, charge, UNPAYABLE)
            for offer, charge in zip(offers, charges, strict=True)
            if isinstance(charge, str)
        ]
        return payable, [*refusals, *unpayable]

    async def survey(
        self,
        ask: Ask,
        local: LocalOption,
        offers: Collection[Offer],
        refusals: Collection[NoOffer],
        *,
        alone: str,
        needless: str,
    ) -> Survey:
        """All of it together with what this node remembers of the sellers and may still spend."""
        now = self._unix_ms()
        keys = [offer.seller.key for offer in offers]
        caps = self._spending.caps
        # Asked together, they are read together.
        (exposed, by_subnet), used_micro, histories, memories, (reputations, words), proved = await asyncio.gather(
            asyncio.gather(
                self._spending.exposures_micro(keys, now),
                self._spending.subnet_exposures_micro({offer.subnet for offer in offers if offer.subnet}, now),
            ),
            self._spending.day_used_micro(now),
            self._outcomes.counts(keys, ask.skill, now),
            self._memories.load(ask.skill, keys),
            asyncio.gather(self._standings.of(keys), self._hearsay.of(ask.skill, keys)),
            self._clearance.standing(keys, now),
        )
        return Survey(
            ask=ask,
            local=local,
            alone=alone,
            needless=needless,
            checks=self._checking.options(ask.subject, local, seconds=len(offers)),
            offers=tuple(self._counted(offer, histories[offer.seller.key]) for offer in offers),
            refusals=tuple(refusals),
            charges={offer.seller.key: self._charge(offer) for offer in offers},
            reputations=reputations,
            histories=histories,
            memories=memories,
            words=words,
            proved=proved,
            advertised_regions={key: self._clearance.regions(key) for key in keys},
            exposure_left_micro={key: max(0, caps.peer_micro - used) for key, used in exposed.items()},
            subnet_left_micro={subnet: max(0, caps.subnet_micro - used) for subnet, used in by_subnet.items()},
            spend_left_micro=max(0, caps.day_micro - used_micro),
        )

    def _counted(self, offer: Offer, history: History) -> Offer:
        """The offer, free of its subnet's cap if the seller is proven."""
        return replace(offer, subnet="") if offer.subnet and history.jobs >= self._decision.proven_jobs else offer

    def _charge(self, offer: Offer) -> Charge:
        """As it is now; what has become impossible since the quotes came is found when the order is placed."""
        charge = self._settling.charge(offer.terms)
        return charge if isinstance(charge, Charge) else Charge()

    def has_expired(self, offer: Offer) -> bool:
        """Whether its price binds no longer."""
        return offer.held.until_unix_ms <= self._unix_ms()

    def decide(self, survey: Survey, *, remaining_s: float, spent_micro: int = 0) -> Decision:
        """The decision at this moment: quotes that have expired meanwhile no longer count.

        `spent_micro`: what attempts before it have cost, of the task's budget.
        """
        ask = survey.ask
        facts = facts_of(ask, remaining_s, spend_left_micro=survey.purse_micro, spent_micro=spent_micro)
        was_asked = bool(survey.offers or survey.refusals) or not (survey.alone or survey.needless)
        inputs = Inputs(
            facts=msgspec.structs.replace(facts, was_asked=was_asked),
            local=survey.local,
            candidates=tuple(self._candidate(survey, offer) for offer in survey.offers if not self.has_expired(offer)),
            options=survey.checks,
            config=self._config_of(ask),
            memory=survey.memories.client,
            grants=self._clearance.grants,
            # Fresh for every decision: two nodes, or two runs of one, never explore alike.
            seed=int.from_bytes(self._entropy(SEED_BYTES), "big"),
        )
        from node.decision.engine import replay  # see node/decision/__init__.py

        return replay(changed(inputs, ask.what_if, self._work.rates))

    def _candidate(self, survey: Survey, offer: Offer) -> Candidate:
        ahead = self._on_the_way.ahead(offer.seller.key, offer.asked_s)
        # How many it does at once it does not say: taken for as many as this node.
        ahead_s = ahead.run_s / self._work.executor.slots
        found = survey.candidate(offer, self._audit_key)
        return msgspec.structs.replace(found, orders_ahead=ahead.count, ahead_s=ahead_s) if ahead.count else found

    def _config_of(self, ask: Ask) -> DecisionConfig:
        return self._decision if ask.policy is None else msgspec.structs.replace(self._decision, policy=ask.policy)

    async def learn(self, decision: Decision, *, good: bool) -> None:
        """Let the policies know what became of a decision."""
        from node.decision.state import lesson_of

        skill = decision.inputs.facts.skill
        await self._memories.learn(skill, lesson_of(decision, good=good), self._unix_ms())
        # Work that was accepted unseen shows nothing of what market makers said.
        if decision.contractor is not None and (decision.level != "none" or not good):
            await self._hearsay.learn(skill, decision.contractor, good=good)


def _priced(decision: DecisionConfig, work: LocalWork) -> DecisionConfig:
    """With what an order costs on this machine, unless its owner said so."""
    if decision.protocol_overhead_micro is not None:
        return decision
    return msgspec.structs.replace(decision, protocol_overhead_micro=work.spent_micro(decision.protocol_s))
