"""How often work is checked that need not be: the inspection game, in place of COALESCE eq. (16).

As printed, eq. (16) has the client minimise its own utility. In the inspection game (Avenhaus, von Stengel & Zamir
2002) a contractor who shirks saves g, and loses its price p and the stakes B (bond, and the margin of later jobs) when
it is found out, which a check does with probability d. A client that commits to a rate leads, and is better off than
in the simultaneous equilibrium: shirking does not pay iff the rate is at least q* = g / (d (p + B)).

The rate is public and the draw cannot be foreseen: it is a keyed hash over the quote, so a seller knows how often it
is checked and never when, and the client cannot choose afterwards.
"""

from collections.abc import Iterable
from hashlib import sha256
from hmac import digest
from typing import NamedTuple

from node.decision.config import DecisionConfig
from node.decision.inputs import Candidate, VerificationOption
from protocol.specification import Level


def deterring_rate(gain: float, price: float, stakes: float, detection: float) -> float:
    """q*: the least rate of checks at which shirking does not pay; 1 where even checking always does not deter."""
    at_stake = detection * (price + stakes)
    return min(1.0, gain / at_stake) if at_stake > 0.0 else (1.0 if gain > 0.0 else 0.0)


def audit_draw(key: bytes, quote: bytes) -> float:
    """A number from [0, 1) that nobody without `key` can foresee: HMAC-SHA256 of the quote's signed bytes."""
    return int.from_bytes(digest(key, quote, sha256)[:6], "big") / 2**48


class Audit(NamedTuple):
    """At which level, and how often, work accepted unseen is checked after all."""

    level: Level
    rate: float


def audit_option(options: Iterable[VerificationOption]) -> VerificationOption | None:
    """The check that audits: of those that buy nothing, the one that finds most for its cost; None if there is none."""
    usable = [option for option in options if option.detection > 0.0 and option.price_share == 0.0]
    return min(usable, key=lambda option: (option.cost_micro / option.detection, -option.detection), default=None)


def audit_of(
    candidate: Candidate, option: VerificationOption | None, config: DecisionConfig, canary_share: float = 0.0
) -> Audit | None:
    """The audit of one seller's unseen work: max(q*, the published least rate). Strangers often, partners rarely.

    B is the bond and the margin on as many later jobs as it has done well so far: to a stranger, 0. Canaries, sent with
    so many an order, deter as well; a known answer tells for certain, so each saves 1/d audits.
    """
    if option is None:
        return None
    price = float(candidate.price_micro)
    stakes = candidate.bond_micro + config.repeat_margin * price * candidate.successes
    deterring = deterring_rate(config.shirk_share * price, price, stakes, option.detection)
    rate = max(config.audit_least, deterring - canary_share / option.detection)
    return Audit(option.level, rate) if rate > 0.0 else None


def audited(unseen: VerificationOption, option: VerificationOption, rate: float) -> VerificationOption:
    """Accepting unseen with audits at `rate`, as one level: costs, time and detection in expectation."""
    return VerificationOption(
        level=unseen.level,
        cost_micro=rate * option.cost_micro,
        time_s=rate * option.time_s,
        price_share=unseen.price_share,
        detection=rate * option.detection,
        assumed=option.assumed,
    )


class Equilibrium(NamedTuple):
    """The simultaneous inspection game in mixed strategies."""

    check_rate: float
    shirk_rate: float
    client_cost: float
    """Expected cost of one task to the client, price included."""


def simultaneous(
    gain: float, price: float, detection: float, check_cost: float, damage: float, redo: float, stakes: float
) -> Equilibrium:
    """The mixed equilibrium where neither side commits: each makes the other indifferent.

    It exists where checking a shirker pays: detection * (price + damage - redo) > check_cost.
    """
    worth = detection * (price + damage - redo)
    if worth <= check_cost:
        raise ValueError(f"a check costs {check_cost:g} and finds {worth:g} at most: nobody would check")
    shirk_rate = check_cost / worth
    return Equilibrium(deterring_rate(gain, price, stakes, detection), shirk_rate, price + shirk_rate * damage)


def committed_cost(gain: float, price: float, detection: float, check_cost: float, stakes: float) -> float:
    """Expected cost of one task to a client that checks at exactly q*: the price, and the checks."""
    return price + deterring_rate(gain, price, stakes, detection) * check_cost
