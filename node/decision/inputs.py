"""What a decision is made from: the task, the local option, the sellers, the ways to check, the settings.

Units are in the names: `_micro` micro-dollars, `_s` seconds, `_bytes` bytes; probabilities run from 0 to 1.
Every value is checked when it is built (`Checked`): NaN, infinity and negatives are a ValueError that names the field.
"""

from typing import Annotated

from msgspec import Meta

from node.decision.checked import Checked, Count, MicroFloat, Probability, Seconds, Whole
from node.decision.config import DecisionConfig
from node.decision.evidence import Evidence
from node.decision.policies.settings import CRITERIA, FEATURES, PolicyConfig
from node.decision.reliability import Reputation, Told, told
from node.decision.security import Demand, Grant
from node.decision.words import MakerWord
from node.tasks.checks import CheckName
from node.views import Preference
from node.views.base import Proof
from protocol.fields import Micro, Size
from protocol.specification import Level, Privacy

MOST_MICRO = 1e15
Figure = Annotated[float, Meta(ge=-MOST_MICRO, le=MOST_MICRO)]


class TaskFacts(Checked, frozen=True, kw_only=True):
    """The task, as the decision sees it."""

    skill: str
    budget_micro: Micro
    """The most that may be paid for it. 0 allows only free work."""
    deadline_s: Seconds
    """Time left, from now."""
    value_micro: Micro | None = None
    """V, what a good result is worth and a bad one destroys. None: taken from the local cost (`task_value`)."""
    input_bytes: Size = 0
    expected_output_bytes: Size = 0
    privacy: Privacy = "internal"
    regions: tuple[str, ...] = ()
    """Where the work may be done; empty = anywhere."""
    least_level: Level = "none"
    """The verification that the task insists on."""
    prefer: Preference = "auto"
    time_value_micro_per_s: MicroFloat | None = None
    """What one second of waiting costs; None takes the configured figure."""
    spend_left_micro: Micro | None = None
    """What is left of the owner's spending cap; None = no cap."""
    media_type: str = ""
    """Of the input."""
    demand: Demand = Demand()
    """Whom it may go to and what they must have shown, beyond the owner's grants."""
    was_asked: bool = True
    """Whether sellers were: that there is no offer means something else where nobody was."""


class InternalCost(Checked, frozen=True, kw_only=True):
    """The five terms of COALESCE eq. (1), in micro-dollars, for one run of the task on this node."""

    compute_micro: MicroFloat = 0.0
    memory_micro: MicroFloat = 0.0
    energy_micro: MicroFloat = 0.0
    opportunity_micro: MicroFloat = 0.0
    depreciation_micro: MicroFloat = 0.0

    @property
    def total_micro(self) -> float:
        """Eq. (1): the sum."""
        return (
            self.compute_micro
            + self.memory_micro
            + self.energy_micro
            + self.opportunity_micro
            + self.depreciation_micro
        )


class LocalOption(Checked, frozen=True, kw_only=True):
    """Doing it here. Not feasible: `why_not` says why, and the other fields do not count."""

    feasible: bool
    why_not: str = ""
    time_s: Seconds = 0.0
    """Expected time to the result, waiting in the node's own queue included."""
    p95_s: Seconds = 0.0
    success: Probability = 0.99
    cost: InternalCost = InternalCost()
    samples: Whole = 0
    """Measured runs behind `time_s`; 0 = a guess, and the decision says so."""
    error: MicroFloat = 0.0
    """Mean of |predicted - measured| / measured over recent runs."""

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        if self.p95_s < self.time_s:
            raise ValueError(f"LocalOption.p95_s is {self.p95_s!r}: write at least time_s, {self.time_s!r}")


class SellerMemory(Checked, frozen=True, kw_only=True):
    """What the policies remember of one seller beside its receipts."""

    reward: Annotated[float, Meta(ge=-1e12, le=1e12)] = 0.0
    """Sum over its jobs of the saving as a share of the local cost, each in [-1, 1]."""
    awards: Count = 0.0
    """Awards to it, each weighing less the longer ago it was: as they stood after `at_hires` hires in all."""
    at_hires: Count = 0.0
    shared_successes: Count = 0.0
    shared_failures: Count = 0.0
    """What others report of it: here, the market makers' `Candidate.words` (`words.reports`)."""


class PolicyMemory(Checked, frozen=True, kw_only=True):
    """What the policies remember of all decisions; see `policies.interface.Experience`."""

    decisions: Count = 0.0
    hires: Count = 0.0
    explorations: Count = 0.0
    recent_hires: Probability = 0.0
    recent_explorations: Probability = 0.0
    local_run: Count = 0.0
    saved_micro: Figure = 0.0
    weights: tuple[Probability, ...] = ()
    """Of the four criteria, as learnt by eq. (13); empty = as configured."""
    gram: tuple[Figure, ...] = ()
    moment: tuple[Figure, ...] = ()
    """The linear reward model, row by row; empty = nothing learnt."""

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        for name, values, size in (
            ("weights", self.weights, CRITERIA),
            ("gram", self.gram, FEATURES * FEATURES),
            ("moment", self.moment, FEATURES),
        ):
            if len(values) not in (0, size):
                raise ValueError(f"PolicyMemory.{name} has {len(values)} numbers: write {size}, or none")


class Candidate(Checked, frozen=True, kw_only=True):
    """One seller with one quote, and what this node knows of it."""

    key: bytes
    """Its public key; unique among the candidates of a decision."""
    name: str
    price_micro: Micro
    """The quote: paid when the result is accepted."""
    duration_s: Seconds
    """Its expected time from award to result, without the transfer."""
    p95_s: Seconds
    rtt_s: Seconds = 0.0
    bandwidth_bytes_per_s: Annotated[float, Meta(ge=1, le=1e15)] | None = None
    """None takes the configured figure."""
    settlement_micro: MicroFloat = 0.0
    """What settling with it costs beside its price: the fees of an escrow."""
    settlement_s: Seconds = 0.0
    """How long settling delays the work: until its price is locked."""
    orders_ahead: Whole = 0
    """Orders of this node's own that were on their way to it when it quoted, so that its quote does not reckon with
    them."""
    ahead_s: Seconds = 0.0
    """How long they are expected to make this one wait. Only a price is set on that: how many it does at once is a
    guess, and rules nobody out."""
    claimed_success: Probability = 1.0
    """What its quote claims."""
    advertised_success: Probability = 1.0
    """What its advert or certificate claims besides; 1 when nothing is advertised."""
    successes: Count = 0.0
    failures: Count = 0.0
    """This node's own receipts with it, discounted by age (`reliability.record`)."""
    jobs: Whole = 0
    """Receipts in all, undiscounted: how much of a stranger it is."""
    breach_probabilities: tuple[Probability, ...] = ()
    """P_breach,i of eq. (15) for attack vectors known of this seller, beside the general one."""
    channel_strength: Probability | None = None
    """CS of eq. (15); None takes the configured figure."""
    skill_match: Probability = 1.0
    """Eq. (12); 1 for an exact label."""
    regions: tuple[str, ...] = ()
    most_private: Privacy = "confidential"
    """The most private data that this node's policy lets it see."""
    advertised_regions: tuple[str, ...] = ()
    """Where its advert says that it is."""
    shown: tuple[Proof, ...] = ()
    """What it proved to this node, as far as that still counts."""
    evidence: tuple[Evidence, ...] = ()
    """The same, claim by claim."""
    drift: str = ""
    """Why it seems to have changed since it was examined, as a sentence; empty where it does not."""
    exposure_left_micro: Micro | None = None
    """What is left of the cap on money outstanding with this seller; None = no cap."""
    is_subnet_capped: bool = False
    """That this is the cap on all unproven sellers of its subnet together."""
    bond_micro: MicroFloat = 0.0
    """What it has in escrow and would lose by cheating."""
    audit_draw: Probability = 1.0
    """From a keyed hash over its quote: work accepted unseen is checked if this is below the audit rate."""
    memory: SellerMemory = SellerMemory()
    words: tuple[MakerWord, ...] = ()
    """Whose reports `memory` holds."""
    reputation: Reputation | None = None
    """What the community chain says of it; None where nobody is followed, or it has no account."""

    def told(self, settings: PolicyConfig) -> Told:
        """What others' words add to this node's own receipts."""
        return told(
            self.reputation,
            discount=settings.shared_discount,
            unanchored=settings.unanchored_discount,
            most_jobs=settings.shared_jobs_max,
            scoring=settings.reputation,
        )

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        if self.p95_s < self.duration_s:
            raise ValueError(f"Candidate.p95_s is {self.p95_s!r}: write at least duration_s, {self.duration_s!r}")


class VerificationOption(Checked, frozen=True, kw_only=True):
    """One way to check a result before it is accepted and paid for."""

    level: Level
    cost_micro: MicroFloat = 0.0
    time_s: Seconds = 0.0
    price_share: Annotated[float, Meta(ge=0, le=10)] = 0.0
    """Bought work, as a share of the seller's price: 1 when the same task is bought a second time."""
    detection: Probability = 0.0
    """d: the share of bad results that it finds."""
    assumed: bool = True
    """`detection` was never measured for this skill."""
    checks: tuple[CheckName, ...] = ()
    """What is looked at, where a level is made up of single checks."""
    charged_micro: MicroFloat = 0.0
    """What of `cost_micro` somebody else charges: it comes out of the budget."""
    basis: str = ""
    """What `detection` rests on, in words."""


NO_VERIFICATION = VerificationOption(level="none", assumed=False)
"""Accept whatever comes back: free, and blind."""


class Inputs(Checked, frozen=True, kw_only=True):
    """Everything that one decision rests on: with it, a stored decision can be made again, bit for bit."""

    facts: TaskFacts
    local: LocalOption
    candidates: tuple[Candidate, ...]
    options: tuple[VerificationOption, ...]
    config: DecisionConfig
    memory: PolicyMemory = PolicyMemory()
    grants: tuple[Grant, ...] = ()
    """The owner's security budget; empty: no limit of its own."""
    seed: Whole = 0
    """What a policy's random draws come from: fresh entropy for every decision of every node."""

    def __post_init__(self) -> None:
        keys = {candidate.key for candidate in self.candidates}
        if len(keys) != len(self.candidates):
            raise ValueError("Inputs.candidates names a seller twice: give each key once, with its best quote")
        levels = {option.level for option in self.options}
        if not self.options or len(levels) != len(self.options):
            raise ValueError(f"Inputs.options has {len(self.options)} entries: give each level once, and at least one")
