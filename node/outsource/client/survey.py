"""What one task's decision is made from, as a value: local work priced, sellers, their quotes, their records here."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from node.decision.audit import audit_draw
from node.decision.inputs import Candidate, LocalOption, SellerMemory, TaskFacts, VerificationOption
from node.decision.reliability import History, Reputation
from node.decision.words import MakerWord, reports
from node.outsource.client.agents import AgentOffer
from node.outsource.client.clearance import Standing
from node.outsource.client.offers import NoOffer, Offer
from node.outsource.client.request import Ask
from node.outsource.settlement.adapter import Charge
from node.store.policy import Memories

PPM = 1_000_000


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

    @property
    def purse_micro(self) -> int:
        """What may be spent: by the owner's cap for the day, and by what is kept to this node alone."""
        own = self.ask.undisclosed.purse_micro
        return self.spend_left_micro if own is None else min(own, self.spend_left_micro)

    def candidate(self, offer: Offer, audit_key: bytes) -> Candidate:
        """One offer as the decision sees it; `audit_key` draws whose work is audited."""
        terms, key = offer.terms, offer.seller.key
        history = self.histories.get(key, History())
        charge = self.charges.get(key, Charge())
        words = self.words.get(key, ())
        reported = reports(words)
        proved = self.proved.get(key, Standing())
        exposure_left_micro = self.exposure_left_micro.get(key)
        subnet_left_micro = self.subnet_left_micro.get(offer.subnet)
        advertised = self.advertised_regions.get(key, ())
        # A node whose advert names no region promises the task's by quoting for it;
        # an agent from outside promises nothing.
        promised = offer.regions if isinstance(offer, AgentOffer) else self.ask.specification.constraints.regions
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
            audit_draw=audit_draw(audit_key, terms.quote_id + self.ask.task_id),
            memory=msgspec.structs.replace(
                self.memories.sellers.get(key, SellerMemory()),
                shared_successes=reported.successes,
                shared_failures=reported.failures,
            ),
            words=words,
            reputation=self.reputations.get(key),
        )


def facts_of(ask: Ask, remaining_s: float, *, spend_left_micro: int | None = None, spent_micro: int = 0) -> TaskFacts:
    """The task as the decision sees it; `spent_micro`: what attempts before have cost, of its budget."""
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
