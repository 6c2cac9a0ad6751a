"""The settings of the decision engine, each with its unit and the reason for its default."""

from typing import Annotated

from msgspec import Meta

from node.decision.checked import MicroFloat, Probability
from node.decision.policies.settings import PolicyConfig
from protocol.fields import Micro
from protocol.specification import Privacy


class DecisionConfig(PolicyConfig, frozen=True, kw_only=True):
    """How this node weighs money, time and risk, and which policy chooses."""

    # --- what a bad or leaked result costs
    gamma: Annotated[float, Meta(ge=0, le=100)] = 1.0
    """Severity of a breach, in values of the task: eq. (9) names it and leaves it out."""
    breach_base: Probability = 0.02
    """Chance that any seller leaks what it sees: the paper's simulator."""
    breach_slope: Probability = 0.1
    """What an entirely unreliable seller adds to it: the paper's simulator."""
    channel_strength: Probability = 0.5
    """CS: encryption guards the wire and nothing guards the seller's own memory, so never 1."""
    internal_sensitivity: Probability = 0.3
    """DS for privacy `internal`; `public` is 0 and `secret` 1."""
    confidential_sensitivity: Probability = 0.7
    most_private_outsourced: Privacy = "confidential"
    """`secret` never leaves the node."""
    default_value_ratio: Annotated[float, Meta(ge=1, le=1e6)] = 10.0
    """V of a task whose owner named none, in local costs: the paper's tasks are worth about ten."""
    least_value_micro: Micro = 1_000
    """V when there is no local cost and no budget to take it from: somebody did ask."""
    risk_weight: Probability = 0.0
    """eta: share of the CVaR in what is minimised; 0 = the expectation alone."""
    tail: Annotated[float, Meta(ge=0.001, le=1)] = 0.05
    """The worst cases that the CVaR averages over."""

    # --- what moving and fitting work costs
    transfer_usd_per_gb: Annotated[float, Meta(ge=0, le=1000)] = 0.05
    """Between a home line (0) and cloud egress (.09)."""
    protocol_overhead_micro: MicroFloat | None = None
    """What an order costs this node beside its price. None: `protocol_s` of this machine, at its own rates."""
    protocol_s: Annotated[float, Meta(ge=0, le=3600)] = 0.03
    """Processor time that one order takes its client, from the look-up to the receipt; `scripts/bench_task` measures
    22 to 37 ms."""
    integration_micro: MicroFloat = 0.0
    """A builtin skill returns what the local run would; set it where results must be converted."""
    bandwidth_bytes_per_s: Annotated[float, Meta(ge=1, le=1e15)] = 12_500_000.0
    """100 Mb/s, until a session measured something."""
    round_trips: Annotated[int, Meta(ge=0, le=20)] = 2
    """Award and result, each there and back."""

    # --- what waiting costs
    time_value_micro_per_s: MicroFloat = 100.0
    """$.36 an hour: a background agent waits, not a person."""
    fast_factor: Annotated[float, Meta(ge=1, le=1000)] = 10.0
    """`--prefer fast` multiplies the cost of waiting; `--prefer cheap` sets it to 0."""
    local_advantage: Probability = 0.5
    """`--prefer local` hires only where it saves this share of the local cost."""

    # --- how often work is checked that nobody need check
    audit_least: Probability = 0.05
    """Published: at least so much of the work that is accepted unseen is checked after all."""
    shirk_share: Probability = 0.75
    """g: what a seller saves by not doing the work, as a share of its price (the example's 15 of 20)."""
    repeat_margin: Probability = 0.2
    """What a seller earns on a price: what it would lose with each later job, one for every job so far."""
    wilson_least: Probability = 0.0
    """In place of eq. (18): a seller is out while the lower end of its Wilson interval is below this. 0 = no gate:
    a stranger's is 0, so any other value needs sellers that are known already."""
