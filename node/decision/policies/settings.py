"""What can be set about the policies: each number with the reason for its default."""

from typing import Annotated, Literal

from msgspec import Meta

from node.decision.checked import Checked, Probability
from node.decision.reliability import Scoring
from protocol.fields import Micro
from protocol.specification import Privacy

PolicyName = Literal[
    "expected-cost",
    "paper",
    "ucb1",
    "ucb-structured",
    "thompson",
    "linucb",
    "contextual-thompson",
    "graduated-epsilon",
    "adaptive-threshold",
    "market-maker",
    "portfolio",
]
CRITERIA = 4
"""Cost, reliability, latency, security: the criteria of Listing 1, in this order."""
FEATURES = 1 + CRITERIA
"""What the linear policies learn from: 1, and the four criteria as goodness from 0 to 1."""
Weight = Annotated[float, Meta(ge=0, le=1000)]
Share = Annotated[float, Meta(ge=0.001, le=0.999)]


class PolicyConfig(Checked, frozen=True, kw_only=True):
    """Which rule chooses, and how it learns."""

    policy: PolicyName = "expected-cost"
    """Least expected total cost: least regret of all that were compared."""

    # --- how far a seller is trusted (`two_kinds`): the default, `graduated-epsilon`, `market-maker`, `portfolio`
    dishonest_share: Share = 0.27
    """s: sellers that do not mean what they claim. Any share from .17 to .37 saves within half a point of the best."""
    dishonest_success: Annotated[float, Meta(ge=0.01, le=0.9)] = 0.4
    """How often those deliver good work on average; half of them .15 less and half .15 more (`two_kinds.APART`)."""
    claim_jobs: Annotated[float, Meta(ge=0.01, le=1000)] = 60.0
    """n: once the kind is known, what that kind delivers weighs as much as sixty jobs."""
    claim_most: Annotated[float, Meta(ge=0.1, le=0.999)] = 0.97
    """No claim is taken for more: everybody fails now and then."""
    doubted_share: Share = 0.87
    """s of the careful belief. The sellers that look best to a stranger are those that lie best."""
    stake_share: Probability = 0.2
    """No more than a fifth of what hiring has saved so far is put at stake on one task. 0: doubt is never overruled."""

    # --- how far the other policies trust a seller: one Beta prior
    pessimism: Annotated[float, Meta(ge=0, le=3)] = 0.5
    """c: standard deviations taken off the posterior mean of a seller's success."""
    prior_jobs: Annotated[float, Meta(ge=0.01, le=1000)] = 2.0
    """n0: a claim weighs as much as two jobs seen."""
    prior_factor: Probability = 0.9
    """Claims are discounted by a tenth before anything is known."""
    theta: Probability = 0.7
    """Least skill match (Listing 1, line 6)."""
    shared_discount: Probability = 0.3
    """A job reported by others weighs as much as .3 of one's own, also where they are believed: some who report lie."""
    reputation: Scoring = "two-levels"
    """What sellers' scores on the chain go by. `paper`: eq. (14) as printed, which takes a good seller that idles for
    half a year below a newcomer and takes everybody's word: to compare with, not to be used."""
    unanchored_discount: Probability = 0.1
    """A job that is reported on the chain by people of whom this node knows nothing: a third of that."""
    shared_jobs_max: Annotated[float, Meta(ge=0, le=1e6)] = 10.0
    """All reports together weigh at most ten own jobs, however many are made up."""

    # --- ties and explanation
    tie_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.02
    """Totals this close to the best are equal, and TOPSIS decides: estimates are not better than that."""
    weight_cost: Weight = 0.4
    weight_reliability: Weight = 0.25
    weight_latency: Weight = 0.2
    weight_security: Weight = 0.15
    """The paper's TOPSIS weights; they are normalised to sum to 1."""

    # --- exploration
    epsilon: Probability = 0.1
    """Eq. (19): the chance of a random choice, in `paper`; where `graduated-epsilon` begins."""
    epsilon_least: Probability = 0.01
    """`graduated-epsilon`: the rate never falls below this, since sellers change."""
    epsilon_half: Annotated[float, Meta(ge=1, le=1e9)] = 50.0
    """`graduated-epsilon`: after this many decisions the rate has halved."""
    optimism: Annotated[float, Meta(ge=0, le=10)] = 1.0
    """Standard deviations added by `ucb-structured`, and by the test whether a seller could be worth a try."""
    linear_bonus: Annotated[float, Meta(ge=0, le=10)] = 0.3
    """`linucb` and `contextual-thompson`: how much an unknown direction counts, in shares of the local cost."""
    learning_value: Annotated[float, Meta(ge=0, le=10)] = 1.0
    """lambda of eq. (20) in a forced exploration; the print adds the information's value to a cost: here it is taken
    off."""
    stuck_after: Annotated[int, Meta(ge=0, le=1_000_000)] = 25
    """After so many decisions for LOCAL in a row, a seller that could be worth it is tried; 0 = never."""
    proven_jobs: Annotated[float, Meta(ge=0, le=1e6)] = 3.0
    """A seller with fewer jobs is unproven."""
    unproven_value_micro: Micro = 50_000_000
    """No task worth more is given to an unproven seller to learn about it: $50, the least of the paper's tasks."""
    unproven_privacy: Privacy = "internal"
    """No task more private is either."""

    # --- the paper's rule
    tau: Probability = 0.6
    """`paper`: least TOPSIS score."""
    tau_least: Probability = 0.2
    """`adaptive-threshold`: it never falls below."""
    hire_rate_target: Probability = 0.33
    """`adaptive-threshold`: below this rate of hiring, the threshold falls (the paper's outsourcing rate)."""
    rho: Probability = 0.8
    """`paper`: least confidence, eq. (18)."""
    market_response: Probability = 0.7
    """beta of Listing 1: the market's share in the weights; the rest is what was learnt."""
    correlation_penalty: Probability = 0.3
    """alpha of eq. (11)."""
    weight_learning: Annotated[float, Meta(ge=0, le=1)] = 0.01
    """eta of eq. (13)."""

    # --- diversity
    share_max: Annotated[float, Meta(ge=0.01, le=1)] = 0.4
    """`portfolio`: no seller gets more than this share of recent awards while another can be had."""
    share_memory: Annotated[float, Meta(ge=2, le=1e6)] = 25.0
    """`portfolio`: how many awards are recent."""
    newcomer_share: Probability = 0.05
    """`portfolio`: this share of the recent decisions may go to sellers with fewer than `proven_jobs` jobs; 0: none."""

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        if self.weight_cost + self.weight_reliability + self.weight_latency + self.weight_security <= 0:
            raise ValueError(f"{type(self).__name__}: all four TOPSIS weights are 0; set at least one above 0")
