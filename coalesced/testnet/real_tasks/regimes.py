"""What local work costs beside what the sellers ask, and who takes part: the markets in which the tasks are run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from coalesced.testnet.manifest import Conduct, Manifest, NodePlan, Role

HOUR_S: Final = 3600.0
MICRO: Final = 1_000_000
ASKED_PER_COST: Final = 1.02
"""What an idle seller asks over its cost: its margin of 20 %, less 15 % while it is idle (eq. 7 and its defaults)."""
CLOCK_RATE: Final = 3_600 * MICRO
"""The all-local node books its work at $1 a second, so that what it books in micro-dollars is microseconds."""
BASELINE: Final = "all-local"
CHEATS: Final[tuple[tuple[Conduct, float], ...]] = (("fabricator", 0.7), ("baiter", 0.6), ("corner-cutter", 0.85))
"""The dishonest sellers, and what they ask beside the middle honest one: cheaper, so that they are chosen."""
CAPS_MICRO: Final = 10**12
"""No cap binds: the rule alone is to decide."""


@dataclass(frozen=True, slots=True)
class Regime:
    """One market. Costs and prices in dollars `per` hour of a machine, or per middle-sized task on this machine."""

    name: str
    text: str
    local_usd: float
    sellers_usd: tuple[float, float]
    """Of the cheapest and the dearest honest seller."""
    per: Literal["hour", "task"]

    def local_micro_per_hour(self, task_s: float) -> int:
        """The buyer's hourly rate where a middle-sized task takes `task_s`."""
        return self._hourly_micro(self.local_usd, task_s)

    def _hourly_micro(self, usd: float, task_s: float) -> int:
        return round(usd * MICRO * (1.0 if self.per == "hour" else HOUR_S / task_s))

    def seller_rates(self, honest: int, cheats: int, task_s: float) -> list[tuple[Conduct, int]]:
        """Conduct and hourly rate of each seller; so many honest ones, evenly spread, and so many cheats."""
        lowest, highest = self.sellers_usd
        steps = max(1, honest - 1)
        asked = [lowest + (highest - lowest) * at / steps for at in range(honest)]
        # A price per task is what a seller asks; its rate is what the task costs it.
        share = 1.0 if self.per == "hour" else 1.0 / ASKED_PER_COST
        rates: list[tuple[Conduct, int]] = [("honest", self._hourly_micro(usd * share, task_s)) for usd in asked]
        middle = sorted(rate for _, rate in rates)[honest // 2]
        return rates + [(conduct, round(middle * discount)) for conduct, discount in CHEATS[:cheats]]


REGIMES: Final = (
    Regime("parity", "the buyer's machine costs two to three times a seller's", 0.60, (0.20, 0.30), "hour"),
    Regime("paper", "the paper's prices: $.00002 a task here, $.80 to $2.00 hired", 0.000_02, (0.8, 2.0), "task"),
    Regime("dear", "the buyer's machine costs 15 times a seller's: a rented accelerator", 3.50, (0.20, 0.28), "hour"),
)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part: sellers by number, one buyer a policy, and the node that does everything itself."""

    honest: int = 5
    cheats: int = 3
    policies: tuple[str, ...] = ("expected-cost", "graduated-epsilon", "paper")

    @property
    def size(self) -> int:
        """Nodes in all."""
        return self.honest + self.cheats + len(self.policies) + 1

    def manifest(self, regime: Regime, task_s: float, directory: Path, ports: tuple[int, ...], nonce: str) -> Manifest:
        """The testnet: sellers s1, s2, ..., then buyers b1, b2, ... in the order of the policies, then `alone`."""
        place = iter(ports)

        def node(name: str, role: Role, rate: int, conduct: Conduct = "honest", policy: str = "") -> NodePlan:
            return NodePlan(
                name=name,
                role=role,
                port=next(place),
                rate_micro_per_hour=rate,
                conduct=conduct,
                policy=policy,
                caps_micro=CAPS_MICRO if role == "buyer" else None,
            )

        rates = regime.seller_rates(self.honest, self.cheats, task_s)
        sellers = [node(f"s{at}", "seller", rate, conduct) for at, (conduct, rate) in enumerate(rates, 1)]
        here = regime.local_micro_per_hour(task_s)
        buyers = [node(f"b{at}", "buyer", here, policy=policy) for at, policy in enumerate(self.policies, 1)]
        return Manifest(
            name=regime.name,
            network=f"testnet-{nonce}-{regime.name}",
            directory=str(directory),
            nodes=(*sellers, *buyers, node("alone", "buyer", CLOCK_RATE)),
        )
