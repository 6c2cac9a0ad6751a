"""What a seller asks for a task: COALESCE eq. (7), in whole micro-dollars.

    P = P_base * (1 + alpha * (D - S_available) / S_total) * beta

The print leaves the units of D and S open; here both count jobs: D those running or waiting, S_available the free
slots, S_total all slots. The demand factor is clamped to a stated range, so that no load makes a price absurd.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

PPM = 1_000_000
MAX_PRICE_MICRO = 10**15
"""The most that a quote can carry (protocol.fields.Micro)."""


class PricingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this node prices what it sells. Ratios are parts per million."""

    margin_ppm: Annotated[int, Meta(ge=0, le=100_000_000)] = 200_000
    """A fifth above cost: a seller that only covers its cost gains nothing by selling."""
    demand_sensitivity_ppm: Annotated[int, Meta(ge=0, le=10_000_000)] = 500_000
    """alpha = .5: the paper's simulator."""
    least_factor_ppm: Annotated[int, Meta(ge=0, le=PPM)] = 850_000
    """An idle node sells at most 15 % cheaper, which the margin still pays for."""
    most_factor_ppm: Annotated[int, Meta(ge=PPM, le=100_000_000)] = 3_000_000
    """Under any load, at most three times the base price."""


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the seller is, in jobs. `demand` counts running and waiting ones; `slots` run at the same time."""

    demand: int
    slots: int

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError(f"Load.slots is {self.slots}: write how many jobs run at once, at least 1")
        if self.demand < 0:
            raise ValueError(f"Load.demand is {self.demand}: write how many jobs run or wait, at least 0")

    @property
    def available(self) -> int:
        """S_available: the free slots."""
        return max(0, self.slots - self.demand)


def base_price_micro(cost_micro: float, config: PricingConfig) -> int:
    """P_base of a seller without a price list: its own predicted internal cost (eq. 1) and the margin, rounded up.

    Never 0: work that costs anything is not given away by rounding. ValueError unless 0 <= cost < infinity.
    """
    if not 0.0 <= cost_micro <= MAX_PRICE_MICRO:
        raise ValueError(f"cost_micro is {cost_micro!r}: write a finite number from 0 to {MAX_PRICE_MICRO}")
    return min(MAX_PRICE_MICRO, max(1, math.ceil(cost_micro * (PPM + config.margin_ppm) / PPM)))


def listed_price_micro(unit_price_micro: int, work_units: int) -> int:
    """P_base of a seller with a price list: so much per work unit, and a task has at least one."""
    return min(MAX_PRICE_MICRO, unit_price_micro * max(1, work_units))


def demand_factor_ppm(load: Load, config: PricingConfig) -> int:
    """1 + alpha * (D - S_available) / S_total of eq. (7), clamped to the configured range, rounded up."""
    change = -(-config.demand_sensitivity_ppm * (load.demand - load.available) // load.slots)
    return min(config.most_factor_ppm, max(config.least_factor_ppm, PPM + change))


def quote_price_micro(base_micro: int, load: Load, config: PricingConfig, *, complexity_ppm: int = PPM) -> int:
    """Eq. (7): the price of one task now. `complexity_ppm` is beta; a base of 0 is free work and stays free."""
    if base_micro < 0 or complexity_ppm < 0:
        raise ValueError(f"base_micro is {base_micro} and complexity_ppm {complexity_ppm}: neither may be negative")
    exact = base_micro * demand_factor_ppm(load, config) * complexity_ppm
    return min(MAX_PRICE_MICRO, -(-exact // (PPM * PPM)))
