"""What a policy is given and what it gives back. Shapes: `...` is () for one decision, (rows,) for a batch."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from node.decision.policies.settings import PolicyConfig, PolicyName
from protocol.specification import Level

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.int64]
Amount: TypeAlias = float | Floats
"""A figure of the task: a float for one decision, (rows, 1) for a batch, so that it meets the sellers' columns."""
Draw: TypeAlias = np.random.Generator | None

LOCAL = -1
"""In the place of a column: nobody is hired."""


class CheckTerms(NamedTuple):
    """One verification level as the pricing sees it."""

    level: Level
    detection: Amount
    cost_micro: Amount
    """The check, the time it takes and being late by it; may be (..., sellers); infinite where it cannot be used."""
    price_share: float = 0.0
    """Bought work: 1 when the same task is bought a second time."""
    redo_micro: Amount | None = None
    """Where found bad work costs something else at this level than `Menu.redo_micro` says."""
    p_late: Amount = 0.0
    """Chance of missing the deadline; its cost is in `cost_micro` already. Only the tail needs it."""


class TailTerms(NamedTuple):
    """What is minimised besides the expectation: share eta of the mean of the worst cases."""

    weight: float
    """eta."""
    tail: float
    """The worst share of cases that the CVaR averages over."""
    gamma: float
    """Severity of a breach, in values of the task."""
    breach_micro: Floats
    """Each: the expected breach cost that `fixed_micro` holds."""


class Menu(NamedTuple):
    """The sellers of one decision or of a batch: (..., sellers) where it says "each", else an `Amount`."""

    usable: Bools
    """Each: within every hard limit of the task, the owner and the deadline. No rule overrides it."""
    explorable: Bools
    """Each: usable, and either proven or within the caps on what the unproven are given."""
    price_micro: Floats
    """Each: P, paid on acceptance."""
    fixed_micro: Floats
    """Each: communication, integration, waiting and breach: what is borne whatever comes back."""
    prior: Floats
    """Each: mean of the success prior, the claim as discounted."""
    time_s: Floats
    """Each: from award to result."""
    p_breach: Floats
    """Each: eq. (15)."""
    match: Floats
    """Each: eq. (12)."""
    checks: tuple[CheckTerms, ...]
    """Verification levels, least first; at least one."""
    value_micro: Amount
    """V."""
    redo_micro: Amount
    """What it costs when bad work is found: the local total, or the cost of not doing it. May be (..., sellers)."""
    local_micro: Amount
    """The local total, or the cost of not doing it."""
    limit_micro: Amount
    """The gate: a hire must cost less."""
    deadline_s: Amount
    tail: TailTerms | None = None
    """None: the expectation alone."""
    has_local: bool = True
    """This node can do the work itself. Where it cannot, no choice is safe, and doubt keeps no seller out."""


class Belief(NamedTuple):
    """(..., sellers) each: the chance of good work."""

    success: Floats
    """What a seller is priced with."""
    careful: Floats | None = None
    """What it is checked by, and must not cost too much by; None: the same, and no such limit."""


class Priced(NamedTuple):
    """Every seller's expected total cost, by a policy's belief."""

    success: Floats
    """(..., sellers): the belief."""
    level: Ints
    """(..., sellers): which of `menu.checks` costs least; by the careful belief, where there is one."""
    cost_micro: Floats
    """(..., sellers): at that level; infinite where the seller is not usable, or not `safe`."""
    careful: Floats | None = None
    """(..., sellers): the careful belief."""
    safe: Bools | None = None
    """(..., sellers): within the ceiling by the careful belief; None: all are."""


class Pick(NamedTuple):
    """The choice of each decision; all (...,)."""

    seller: Ints
    """A column, or LOCAL."""
    level: Ints
    """Which of `menu.checks`; 0 where LOCAL."""
    explored: Bools
    """Chosen to learn, not because it was believed to be best."""


class Experience(NamedTuple):
    """All that the policies remember; (..., sellers) unless it says otherwise. Never changed in place."""

    successes: Floats
    failures: Floats
    """Own receipts, discounted by age."""
    jobs: Floats
    """Own receipts in all."""
    shared_successes: Floats
    shared_failures: Floats
    """What others report, for `market-maker`."""
    reward: Floats
    """Sum of rewards, each in [-1, 1]: what a job saved as a share of the local cost."""
    saved_micro: Floats
    """(...,): what hiring has saved against LOCAL so far, losses taken off: what trials are paid from."""
    awards: Floats
    """Awards, each weighing less the longer ago it was: the shares of `portfolio`."""
    weights: Floats
    """(..., CRITERIA): what eq. (13) has learnt; sums to 1."""
    gram: Floats
    """(..., FEATURES, FEATURES): sum of x x' over jobs, plus the identity."""
    moment: Floats
    """(..., FEATURES): sum of reward times x."""
    decisions: Floats
    """(...,): with at least one usable seller."""
    hires: Floats
    explorations: Floats
    """(...,)."""
    recent_hires: Floats
    recent_explorations: Floats
    """(...,): rates over about the last fifty decisions."""
    local_run: Floats
    """(...,): decisions for LOCAL in a row, sellers being there."""


class Outcome(NamedTuple):
    """What became of one decision in each row; all (...,) unless it says otherwise."""

    seller: Ints
    """The column hired, or LOCAL."""
    success: Bools
    """As far as the client could see; ignored for LOCAL."""
    reward: Floats
    """1 - (all that the hire cost) / (local cost); ignored for LOCAL."""
    explored: Bools
    features: Floats
    """(..., FEATURES): `pricing.features` of the hired seller when it was chosen; zeros for LOCAL."""
    offered: Bools
    """Whether any seller was usable at all."""
    saved_micro: Amount = 0.0
    """(local cost) - (all that the hire cost); ignored for LOCAL."""


class Policy(NamedTuple):
    """One rule. See the package's docstring."""

    name: PolicyName
    summary: str
    believe: Callable[[Menu, Experience, PolicyConfig, Draw], Belief]
    choose: Callable[[Menu, Priced, Experience, PolicyConfig, Draw], Pick]
    draws: bool = False
    """It needs a Generator."""
    is_gated: bool = True
    """It never hires a seller that costs as much as LOCAL, not even to try it."""
    explores: Callable[[Experience, PolicyConfig], Floats] | None = None
    """(...,): the rate of random choices it aims at now; None = it makes none."""
