"""What one task's decision is made from: local work priced, sellers found, their quotes, their records here."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import structlog

from crypto.identity import short_id
from dht.ids import skill_key
from node.decision.audit import audit_draw
from node.decision.config import DecisionConfig
from node.decision.decision import Decision
from node.decision.inputs import Candidate, Inputs, LocalOption, SellerMemory, TaskFacts, VerificationOption
from node.decision.reliability import History, Reputation
from node.decision.screening import withheld
from node.decision.whatif import changed
from node.decision.words import MakerWord, reports
from node.errors import UsageError
from node.net.endpoint import Endpoint, endpoint
from node.outsource.checking import Checking
from node.outsource.client.agents import AgentOffer
from node.outsource.client.askmemory import AskMemory
from node.outsource.client.clearance import Clearance, Standing
from node.outsource.client.hearsay import Hearsay
from node.outsource.client.offers import Market, NoOffer, Offer, Tender
from node.outsource.client.ontheway import OnTheWay
from node.outsource.client.request import Ask
from node.outsource.client.seller import Listing, Seller
from node.outsource.client.standings import Standings
from node.outsource.client.unasked import unasked
from node.outsource.config import ClientConfig
from node.outsource.localwork import LocalWork
from node.outsource.settlement.adapter import Adapter, Charge
from node.registry.sources import NOBODY, Looked, Sources
from node.skills.labels import nearest
from node.store.history import Outcomes
from node.store.journal_store import Journal
from node.store.policy import Memories, PolicyMemories
from node.store.spending import Spending
from protocol.errors import RemoteProtocolError
from protocol.messages import decode_advert

log = structlog.get_logger()

PPM = 1_000_000
UNPAYABLE = "unpayable"
"""The code of an offer whose seller wants to be paid in a way that this node cannot."""
SEED_BYTES = 6
"""Of entropy in each decision's seed; it fits a JSON number exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Everything about one task's options but the time that is left."""

    ask: Ask
    local: LocalOption
    alone: str
    """Why nobody else may be asked, as a sentence; empty when the market was."""
    needless: str
    """Why asking was in vain, by what is known without it; empty when it was not. A dry run asks all the same."""
    checks: tuple[VerificationOption, ...]
    offers: tuple[Offer, ...]
    refusals: tuple[NoOffer, ...]
    charges: dict[bytes, Charge]
    """What settling with each seller costs."""
    reputations: dict[bytes, Reputation]
    """What the community chain says of each."""
    histories: dict[bytes, History]
    memories: Memories
    words: Mapping[bytes, tuple[MakerWord, ...]]
    """What market makers say of each."""
    proved: dict[bytes, Standing]
    """What each proved to this node."""
    advertised_regions: dict[bytes, tuple[str, ...]]
    exposure_left_micro: dict[bytes, int]
    subnet_left_micro: dict[str, int]
    """To unproven sellers, by subnet."""
    spend_left_micro: int

    def offer(self, contractor: bytes) -> Offer:
        """The offer of one contractor."""
        return next(offer for offer in self.offers if offer.seller.key == contractor)


class Surveyor:
    """Looks at the options of a task, here and on the market."""

    def __init__(
        self,
        *,
        own_key: bytes,
        own_endpoint: Endpoint,
        network: str,
        config: ClientConfig,
        decision: DecisionConfig,
        work: LocalWork,
        checking: Checking,
        sources: Sources,
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
        is_blocked: Callable[[bytes], bool],
        unix_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
        audit_key: bytes,
        id_key: bytes,
    ) -> None:
        self._own_key = own_key
        self._own_endpoint = own_endpoint
        self._network = network
        self._config = config
        self._decision = _priced(decision, work)
        self._work = work
        self._checking = checking
        self._sources = sources
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
        self._is_blocked = is_blocked
        self._unix_ms = unix_ms
        self._entropy = entropy
        self._audit_key = audit_key
        self._id_key = id_key
        self._asked = AskMemory(config.unasked_most)
        self._looking: dict[tuple[bytes, bool], asyncio.Future[Looked]] = {}

    async def alone(self, ask: Ask) -> str:
        """Why nobody else may be asked for this task, as a sentence; empty when they may."""
        if ask.specification.constraints.privacy == "secret":
            return "secret work never leaves this node"
        if (broken := await self._journal.check_end()) is not None:
            return f"nothing is bought while the journal is damaged ({broken}; see `coalesced journal verify`)"
        return ""

    async def needless(self, ask: Ask, local: LocalOption, *, remaining_s: float) -> str:
        """Why asking sellers about this task would be in vain, as a sentence; empty when they are to be asked."""
        facts, config, now_s = _facts(ask, remaining_s), self._config_of(ask), self._unix_ms() / 1000

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

    async def listings(self, skill: str, *, timeout_s: float | None = None, thorough: bool = False) -> list[Listing]:
        """Who sells `skill`, by the first source that knows anybody: never this node, nobody blocked, each once.

        `thorough`: when money is about to be committed. Whoever crowds around the skill's key hides nobody then.
        """
        limit_s = self._config.find_timeout_s if timeout_s is None else min(timeout_s, self._config.find_timeout_s)
        found: list[Listing] = []
        looked = await self._look(skill_key(self._network, skill), limit_s, thorough=thorough)
        for record in looked.records:
            if record.public_key == self._own_key or self._is_blocked(record.public_key):
                continue
            try:
                advert = decode_advert(record.body)
                where = endpoint(advert.host, advert.port)
            except (RemoteProtocolError, UsageError) as error:
                log.info("advert.ignored", error=str(error))
                continue
            if advert.skill == skill and where.may_be_dialled_from(self._own_endpoint):
                seller = Seller(record.public_key, where, record.expires_unix_ms)
                self._clearance.says(record.public_key, advert.regions)
                found.append(Listing(seller, advert, record.expires_unix_ms, looked.source(record)))
        return found

    def worth_asking(
        self, ask: Ask, listings: Sequence[Listing], seconds: float
    ) -> tuple[list[Listing], list[NoOffer]]:
        """Those who may do this task and will not close within that time, as their adverts say; why not the others."""
        return unasked(listings, ask.specification.constraints.regions, self._unix_ms() / 1000, seconds)

    async def withheld(self, ask: Ask, key: bytes, regions: tuple[str, ...]) -> str:
        """Why this seller may not see the task's input, whatever its price, as the end of a sentence; else empty."""
        from node.decision.engine import task_value_micro  # see node/decision/__init__.py

        facts, config = _facts(ask, ask.specification.constraints.deadline_ms / 1000), self._config_of(ask)
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

    async def _look(self, key: bytes, timeout_s: float, *, thorough: bool) -> Looked:
        """Who is published under `key`. Who asks while such a look-up is under way takes what it finds."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + timeout_s
        while (looking := self._looking.get((key, thorough))) is not None:
            await asyncio.wait([looking], timeout=max(0.0, ends - loop.time()))
            if not looking.done():
                return NOBODY
            if not looking.cancelled():
                return looking.result()
        looking = self._looking[key, thorough] = loop.create_future()
        try:
            found = await self._sources.look(key, timeout_s=max(0.0, ends - loop.time()), thorough=thorough)
            looking.set_result(found)
            return found
        finally:
            del self._looking[key, thorough]
            looking.cancel()  # Where the one who looked was cut short, the next one looks.

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
        specification = ask.specification
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
        facts = _facts(ask, remaining_s, spend_left_micro=_purse_micro(survey), spent_micro=spent_micro)
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
        found = _candidate(survey, offer, self._audit_key)
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


def _facts(ask: Ask, remaining_s: float, *, spend_left_micro: int | None = None, spent_micro: int = 0) -> TaskFacts:
    specification, constraints = ask.specification, ask.specification.constraints
    return TaskFacts(
        skill=ask.skill,
        budget_micro=max(0, constraints.budget_micro - spent_micro),
        deadline_s=max(0.0, remaining_s),
        value_micro=ask.value_micro,
        input_bytes=specification.input.size_bytes,
        privacy=constraints.privacy,
        regions=constraints.regions,
        least_level=specification.verification.least_level,
        prefer=ask.prefer,
        spend_left_micro=spend_left_micro,
        media_type=specification.input.media_type,
        demand=ask.demand,
    )


def _purse_micro(survey: Survey) -> int:
    """What may be spent: by the owner's cap for the day, and by what is kept to this node alone."""
    own = survey.ask.undisclosed.purse_micro
    return survey.spend_left_micro if own is None else min(own, survey.spend_left_micro)


def _candidate(survey: Survey, offer: Offer, audit_key: bytes) -> Candidate:
    terms, key = offer.terms, offer.seller.key
    history = survey.histories.get(key, History())
    charge = survey.charges.get(key, Charge())
    words = survey.words.get(key, ())
    reported = reports(words)
    proved = survey.proved.get(key, Standing())
    exposure_left_micro = survey.exposure_left_micro.get(key)
    subnet_left_micro = survey.subnet_left_micro.get(offer.subnet)
    advertised = survey.advertised_regions.get(key, ())
    # A node whose advert names no region promises the task's by quoting for it; an agent from outside promises nothing.
    promised = offer.regions if isinstance(offer, AgentOffer) else survey.ask.specification.constraints.regions
    regions = advertised or promised
    is_subnet_capped = subnet_left_micro is not None and subnet_left_micro < (exposure_left_micro or 0)
    return Candidate(
        key=key,
        name=offer.seller.name,
        price_micro=terms.price_micro,
        duration_s=terms.duration_ms / 1000,
        p95_s=terms.p95_ms / 1000,
        rtt_s=offer.rtt_s,
        settlement_micro=charge.fee_micro,
        settlement_s=charge.delay_s,
        claimed_success=terms.success_ppm / PPM,
        successes=history.successes,
        failures=history.failures,
        jobs=history.jobs,
        regions=regions,
        advertised_regions=regions if isinstance(offer, AgentOffer) else advertised,
        shown=proved.proofs,
        evidence=proved.evidence,
        drift=proved.drift,
        exposure_left_micro=subnet_left_micro if is_subnet_capped else exposure_left_micro,
        is_subnet_capped=is_subnet_capped,
        audit_draw=audit_draw(audit_key, terms.quote_id + survey.ask.task_id),
        memory=msgspec.structs.replace(
            survey.memories.sellers.get(key, SellerMemory()),
            shared_successes=reported.successes,
            shared_failures=reported.failures,
        ),
        words=words,
        reputation=survey.reputations.get(key),
    )
