"""What doing a task here costs: COALESCE eq. (1) to (5), from predicted seconds and the owner's rates.

Seconds come from calibration of measured runs, so eq. (2) needs no FLOP count: t is the predicted time. As printed
it multiplies FLOP/P_peak, which is already a time, by t again.
"""

from collections.abc import Iterable
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from node.decision.checked import Checked, Probability, number
from node.decision.hardware import ApiPrice, GpuFigures, ModelFigures, gpu
from node.decision.inputs import InternalCost, LocalOption
from node.errors import UsageError

Usd = Annotated[float, Meta(ge=0, le=1e9)]
HOUR_S = 3600.0
MICRO = 1e6
MOST_S = 1e9
"""Thirty years: what no inputs exceed. A skill that was never measured may be predicted to take longer."""


class MachineRates(Checked, frozen=True, kw_only=True):
    """What this machine costs its owner."""

    hourly_rate_usd: Usd = 0.04
    """A $1,000 machine written off over three years of use; set your cloud's price for a rented one."""
    rate_includes_depreciation: bool = True
    """A write-off is depreciation: counting it again is eq. (1)'s trap."""
    rate_includes_energy: bool = False
    """True for a rented machine, whose price covers its power."""
    purchase_usd: Usd = 1000.0
    lifetime_hours: Annotated[float, Meta(ge=1, le=1e6)] = 26_280.0
    """Three years; with `purchase_usd`, depreciation where the hourly rate excludes it."""
    memory_hourly_usd: Usd = 0.005
    """All memory for an hour: about a tenth of a machine's price is its memory."""
    memory_bytes: Annotated[int, Meta(ge=1, le=2**50)] | None = None
    """M_total; None takes what the machine reports when the node starts."""
    memory_share_max: Probability = 0.92
    """More does not fit: the system and the node itself need the rest."""
    power_watts: Annotated[float, Meta(ge=0, le=1e6)] = 65.0
    """P_TDP: a desktop processor."""
    utilization: Probability = 0.85
    """U: the middle of the paper's .7 to .95."""
    energy_usd_per_kwh: Usd = 0.15
    """About the mean household price in the United States."""
    pue: Annotated[float, Meta(ge=1, le=10)] = 1.0
    """Power drawn for each watt that computes: 1 at home, 1.2 to 1.6 in a data centre."""
    gpu: Annotated[str, Meta(max_length=64)] = ""
    """The GPU that language models run on here, by its name in the table or in `gpus`; empty = none."""
    gpus: dict[str, GpuFigures] = msgspec.field(default_factory=dict)
    """GPUs that the table lacks, and other figures for those that it has."""
    models: dict[str, ModelFigures] = msgspec.field(default_factory=dict)
    """Language models likewise."""
    api_prices: dict[str, ApiPrice] = msgspec.field(default_factory=dict)
    """Prices of hosted models likewise."""

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        if self.gpu:
            try:
                gpu(self.gpu, self.gpus)
            except UsageError as error:
                raise ValueError(f"gpu: {error}") from error


class Pending(NamedTuple):
    """A task that waits for this node: what it is worth and how long it takes."""

    value_micro: float
    time_s: float


def internal_cost(
    time_s: float,
    rates: MachineRates,
    *,
    memory_bytes: int = 0,
    machine_share: float = 1.0,
    queue: Iterable[Pending] = (),
) -> InternalCost:
    """Eq. (1) for `time_s` predicted seconds on `machine_share` of the machine (1 / jobs that run at once)."""
    time_s = number("time_s", time_s, 0, 1e9)
    share = number("machine_share", machine_share, 0, 1)
    hours = time_s / HOUR_S
    energy = 0.0 if rates.rate_includes_energy else energy_usd(hours, rates)
    worn = 0.0 if rates.rate_includes_depreciation else rates.purchase_usd / rates.lifetime_hours * hours
    return InternalCost(
        compute_micro=hours * rates.hourly_rate_usd * share * MICRO,
        memory_micro=memory_share(memory_bytes, rates) * hours * rates.memory_hourly_usd * MICRO,
        energy_micro=energy * share * MICRO,
        opportunity_micro=opportunity_micro(time_s, queue),
        depreciation_micro=worn * share * MICRO,
    )


def energy_usd(hours: float, rates: MachineRates) -> float:
    """Eq. (4): TDP * U * t * price, in kW and h, times the data centre's overhead."""
    return rates.power_watts / 1000.0 * rates.utilization * hours * rates.energy_usd_per_kwh * rates.pue


def memory_share(memory_bytes: int, rates: MachineRates) -> float:
    """The share of eq. (3), which `does_not_fit` keeps below 1; 0 where the machine's memory is not known."""
    return min(1.0, memory_bytes / rates.memory_bytes) if rates.memory_bytes else 0.0


def does_not_fit(memory_bytes: int, rates: MachineRates) -> str:
    """Why the task cannot run here for lack of memory; empty when it fits. In place of a share above 1 in eq. (3)."""
    if rates.memory_bytes is None or memory_bytes <= rates.memory_share_max * rates.memory_bytes:
        return ""
    return does_not_fit_text(memory_bytes, rates.memory_share_max * rates.memory_bytes)


def does_not_fit_text(needed_bytes: float, usable_bytes: float) -> str:
    """What is wrong with a need of so much memory where so much can be used; empty when it fits."""
    if needed_bytes <= usable_bytes:
        return ""
    needed_gib, usable_gib = needed_bytes / 2**30, usable_bytes / 2**30
    return f"it does not fit: it needs {needed_gib:.3g} GiB of memory and {usable_gib:.3g} GiB can be used"


def opportunity_micro(time_s: float, queue: Iterable[Pending]) -> float:
    """Eq. (5), capped: the best value per second that waits, for `time_s`, but no more than all that waits.

    Uncapped, it was 96 % of the local cost in one of the paper's rows.
    """
    best_rate = total = 0.0
    for pending in queue:
        value = number("Pending.value_micro", pending.value_micro, 0, 1e18)
        duration_s = number("Pending.time_s", pending.time_s, 0, 1e9)
        total += value
        best_rate = max(best_rate, value / max(duration_s, 1e-9))
    return min(best_rate * time_s, total)


def local_option(
    *,
    time_s: float,
    p95_s: float,
    samples: int,
    error: float = 0.0,
    success: float,
    rates: MachineRates,
    wait_s: float = 0.0,
    memory_bytes: int = 0,
    machine_share: float = 1.0,
    queue: Iterable[Pending] = (),
) -> LocalOption:
    """The local option of a task that this node has the skill for, or the answer that it does not fit.

    `time_s` and `p95_s` are the predicted run alone; `wait_s` is what is before it in the node's own queue.
    """
    if why_not := does_not_fit(memory_bytes, rates):
        return LocalOption(feasible=False, why_not=why_not)
    return LocalOption(
        feasible=True,
        time_s=min(MOST_S, wait_s + time_s),
        p95_s=min(MOST_S, wait_s + max(time_s, p95_s)),
        success=success,
        samples=samples,
        error=error,
        cost=internal_cost(
            min(MOST_S, time_s), rates, memory_bytes=memory_bytes, machine_share=machine_share, queue=queue
        ),
    )
