"""The outcome of a decision as one frozen value: every number, every reason, and the inputs to make it again."""

from hashlib import sha256
from typing import Literal

import msgspec

from node.decision.inputs import Inputs, InternalCost
from protocol.specification import Level

Choice = Literal["local", "outsource", "none"]
ExclusionCode = Literal[
    "over_budget", "over_cap", "exposure", "late", "privacy", "region", "skill", "unproven", "level", "security"
]


class _Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class LocalRow(_Value, frozen=True, kw_only=True):
    """Doing it here. When not feasible, `total_micro` is the cost of not doing it: its value, bounded by the budget."""

    feasible: bool
    why_not: str
    cost: InternalCost
    direct_micro: float
    """Eq. (1)."""
    waiting_micro: float
    lateness_micro: float
    failure_micro: float
    total_micro: float
    score_micro: float
    """What is minimised: the total, or with risk weight eta the mix (1 - eta) * total + eta * CVaR."""
    time_s: float
    p_late: float
    p_good: float


class SellerRow(_Value, frozen=True, kw_only=True):
    """Hiring one seller at its best verification level: eq. (6) in expectation.

    The terms payment, communication, settlement, integration, verification, waiting, lateness, undetected, redo and
    breach add up to `total_micro`.
    """

    contractor: bytes
    name: str
    level: Level
    assumed: bool
    """The level's detection probability was never measured for this skill."""
    price_micro: int
    """The quote."""
    payment_micro: float
    """P times the probability that the result is accepted."""
    communication_micro: float
    """Eq. (8)."""
    settlement_micro: float = 0.0
    """Fees of an escrow."""
    integration_micro: float
    verification_micro: float
    waiting_micro: float
    lateness_micro: float
    undetected_micro: float
    """(1-q)(1-d)V: bad work that passes the check."""
    redo_micro: float
    """(1-q)d times the cost of doing it again here."""
    breach_micro: float
    """V * gamma * P_breach, eq. (9) and (15)."""
    total_micro: float
    score_micro: float
    doubted_micro: float
    """The same by the careful belief, in which nearly every seller is other than it claims; the score where the policy
    has none."""
    success: float
    """q: probability of good work, as the policy believes."""
    success_mean: float
    wilson_low: float
    wilson_high: float
    """95 % interval from receipts alone; (0, 1) for a stranger."""
    p_good: float
    """Probability that the task ends well: good work at once, or bad work found and done again here."""
    p_late: float
    p_breach: float
    time_s: float
    topsis: float
    audit_level: Level
    audit_rate: float
    """How often work accepted unseen is checked after all; its share is in every term of level `none`."""
    levels: tuple[tuple[Level, float], ...]
    """The total at every usable level: what another level would have cost."""


class Excluded(_Value, frozen=True, kw_only=True):
    """A seller that was not considered, and why."""

    contractor: bytes
    name: str
    code: ExclusionCode
    text: str


class Exploration(_Value, frozen=True, kw_only=True):
    """Whether the policy explores as it is meant to, up to this decision."""

    target: float
    """The rate of random choices it aims at now; 0 for a policy that makes none."""
    rate: float
    """Over about the last fifty decisions, forced ones included."""
    decisions: int
    explorations: int
    local_run: int
    """Decisions for LOCAL in a row, sellers being there."""
    alert: str
    """What is wrong, as a sentence; empty when nothing is."""


class Decision(_Value, frozen=True, kw_only=True):
    """What to do, why, and what it was decided from."""

    choice: Choice
    """`none`: this node cannot do it, and no seller is worth it."""
    contractor: bytes | None
    level: Level
    """At which the result is checked, audit included."""
    audited: bool
    """The level was `none`, and the draw over the quote says that this one is checked."""
    reason: str
    """One sentence."""
    local: LocalRow
    rows: tuple[SellerRow, ...]
    """Sellers that were considered, best first."""
    excluded: tuple[Excluded, ...]
    ranking: tuple[bytes, ...]
    """Sellers worth hiring, the chosen one first: whom to try next when one fails. Then local, where feasible."""
    runner_up: bytes | None
    """The best seller that was not chosen."""
    value_micro: float
    """V as used."""
    limit_micro: float
    """The gate: a seller must cost less than this."""
    ceiling_micro: float | None
    """What `doubted_micro` may be at most: the gate, and what may be staked of the savings so far. None: anything."""
    saving_micro: float
    """Cost of the local option less that of the choice; 0 unless outsourced."""
    warnings: tuple[str, ...]
    explored: bool
    """The seller was tried to learn about it."""
    exploration: Exploration
    inputs: Inputs
    inputs_sha256: str

    def row(self, contractor: bytes) -> SellerRow | None:
        """The row of one seller; None if it was excluded or is unknown."""
        return next((row for row in self.rows if row.contractor == contractor), None)

    @property
    def chosen(self) -> SellerRow | None:
        """The row of the chosen seller; None unless outsourced."""
        return None if self.contractor is None else self.row(self.contractor)

    def to_json(self) -> str:
        """This decision as JSON text, exactly: `from_json` gives an equal value. Keys are base64."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> "Decision":
        """The decision in `text`; ValueError when it is not one or its inputs were altered."""
        decision = msgspec.json.decode(text, type=cls)
        found = digest(decision.inputs)
        if found != decision.inputs_sha256:
            raise ValueError(f"the decision's inputs have digest {found}, not {decision.inputs_sha256} as it says")
        return decision


def digest(inputs: Inputs) -> str:
    """SHA-256 of the inputs as JSON, hex."""
    return sha256(msgspec.json.encode(inputs)).hexdigest()
