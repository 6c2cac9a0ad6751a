"""Decide as if something were otherwise: `price=-20%`, `rtt=200ms`, `hourly-rate=0.8`.

Every name stands in `NAMES` with what it means. Values are absolute ($0.02, 250ms, 90%) or, with a sign and a percent
sign, relative to what is (-20%, +50%). `name@seller=value` changes one seller only, named as the table shows it.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from node.decision.inputs import Candidate, Inputs, InternalCost, LocalOption
from node.decision.internal_cost import MachineRates
from node.errors import UsageError

MICRO = 1e6
MOST = 1e18
"""No figure is larger: what is worked out from it must stay finite."""
_RELATIVE = re.compile(r"([+-]\d+(?:\.\d+)?)\s*%")
_NUMBER = r"(\d+(?:\.\d*)?(?:e[+-]?\d+)?)"
_UNITS: dict[str, tuple[re.Pattern[str], dict[str, float], str]] = {
    "money": (re.compile(rf"\$?{_NUMBER}"), {"": 1.0}, "dollars: write 0.02, $0.02 or -20%"),
    "duration": (
        re.compile(_NUMBER + r"\s*(us|ms|s|m|h|)"),
        {"us": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0},
        "a duration: write 250ms, 2s, 1m or +50%",
    ),
    "share": (re.compile(_NUMBER + r"\s*(%|)"), {"%": 0.01, "": 1.0}, "a share: write 0.9, 90% or -5%"),
    "size": (
        re.compile(_NUMBER + r"\s*(b|kb|mb|gb|)", re.IGNORECASE),
        {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9},
        "a size: write 500kB, 2MB or +50%",
    ),
    "count": (re.compile(_NUMBER), {"": 1.0}, "a number: write 10 or +50%"),
}


class Name(NamedTuple):
    """One thing that can be changed."""

    unit: str
    text: str
    """What it is, for a person."""
    of_seller: bool
    change: Callable[[Any, "Figure", MachineRates], Any]
    """For a seller: Candidate -> Candidate; else Inputs -> Inputs."""


class Figure(NamedTuple):
    """A value as it was written: absolute, in the unit of the field, or a factor."""

    value: float
    is_relative: bool

    def of(self, old: float) -> float:
        """The new figure in place of `old`."""
        return old * self.value if self.is_relative else self.value


def changed(inputs: Inputs, what_if: Iterable[str], rates: MachineRates) -> Inputs:
    """The inputs with each `name=value` applied in order; UsageError says what is wrong and what to write."""
    for text in what_if:
        inputs = _one(inputs, text, rates)
    return inputs


def _one(inputs: Inputs, text: str, rates: MachineRates) -> Inputs:
    target, equals, value = text.partition("=")
    name, at, seller = target.strip().replace("_", "-").partition("@")
    found = NAMES.get(name)
    if not equals or found is None:
        near = difflib.get_close_matches(name.lower(), NAMES, 3, cutoff=0.4) or sorted(NAMES)
        raise UsageError(f"--what-if {text[:70]!r}: write name=value, with a name like {', '.join(near)}")
    figure = _figure(text, value.strip(), found.unit)
    try:
        if not found.of_seller:
            if at:
                raise UsageError(f"--what-if {text[:70]!r}: {name} is not a seller's: leave out @{seller}")
            return found.change(inputs, figure, rates)  # type: ignore[no-any-return]
        keys = {one.key for one in inputs.candidates if not at or one.name == seller}
        if at and not keys:
            there = ", ".join(one.name for one in inputs.candidates) or "none"
            raise UsageError(f"--what-if {text[:70]!r}: no seller is called {seller!r}; there are: {there}")
        changed_sellers = tuple(
            found.change(one, figure, rates) if one.key in keys else one for one in inputs.candidates
        )
        return msgspec.structs.replace(inputs, candidates=changed_sellers)
    except ValueError as error:
        raise UsageError(f"--what-if {text[:70]!r}: {error}") from error


def _figure(text: str, value: str, unit: str) -> Figure:
    pattern, factors, advice = _UNITS[unit]
    relative = _RELATIVE.fullmatch(value)
    if relative is not None:
        factor = 1.0 + float(relative[1]) / 100.0
        if factor < 0.0:
            raise UsageError(f"--what-if {text[:70]!r}: less than nothing is left of it: write -100% at most")
        return Figure(_bounded(text, factor), is_relative=True)
    absolute = pattern.fullmatch(value)
    if absolute is None:
        what = "it is negative" if value.startswith("-") else f"{value[:30]!r} is not one"
        raise UsageError(f"--what-if {text[:70]!r}: {what}; it is {advice}")
    suffix = absolute[2].lower() if pattern.groups > 1 else ""
    return Figure(_bounded(text, float(absolute[1]) * factors[suffix]), is_relative=False)


def _bounded(text: str, value: float) -> float:
    if value > MOST:
        raise UsageError(f"--what-if {text[:70]!r}: it is too large: write at most {MOST:g}")
    return value


# --- what each name changes


def _price(one: Candidate, figure: Figure, rates: MachineRates) -> Candidate:
    price = figure.of(one.price_micro / MICRO) * MICRO
    return msgspec.structs.replace(one, price_micro=round(price))


def _duration(one: Candidate, figure: Figure, rates: MachineRates) -> Candidate:
    """The seller's time, and its p95 in proportion."""
    duration_s = figure.of(one.duration_s)
    spread = one.p95_s / one.duration_s if one.duration_s else 1.0
    return msgspec.structs.replace(one, duration_s=duration_s, p95_s=max(duration_s, duration_s * spread))


def _of_seller(field: str) -> Callable[[Candidate, Figure, MachineRates], Candidate]:
    def change(one: Candidate, figure: Figure, rates: MachineRates) -> Candidate:
        new: Candidate = msgspec.structs.replace(one, **{field: figure.of(getattr(one, field) or 0.0)})
        return new

    return change


def _jobs(field: str) -> Callable[[Candidate, Figure, MachineRates], Candidate]:
    def change(one: Candidate, figure: Figure, rates: MachineRates) -> Candidate:
        counts = {"successes": one.successes, "failures": one.failures} | {field: figure.of(getattr(one, field))}
        new: Candidate = msgspec.structs.replace(one, jobs=round(sum(counts.values())), **counts)
        return new

    return change


def _of_facts(field: str, scale: float = 1.0, whole: bool = False) -> Callable[[Inputs, Figure, MachineRates], Inputs]:
    def change(inputs: Inputs, figure: Figure, rates: MachineRates) -> Inputs:
        old = getattr(inputs.facts, field)
        if old is None and figure.is_relative:
            raise UsageError(
                f"{field.removesuffix('_micro')} is not set, so it cannot change by a share: write a value"
            )
        new = figure.of((old or 0) / scale) * scale
        facts = msgspec.structs.replace(inputs.facts, **{field: round(new) if whole else new})
        return msgspec.structs.replace(inputs, facts=facts)

    return change


LocalChange = Callable[[LocalOption, Figure, MachineRates], LocalOption]


def _of_local(change_local: LocalChange) -> Callable[[Inputs, Figure, MachineRates], Inputs]:
    def change(inputs: Inputs, figure: Figure, rates: MachineRates) -> Inputs:
        if not inputs.local.feasible:
            raise UsageError(f"this node cannot do the task at all: {inputs.local.why_not}")
        return msgspec.structs.replace(inputs, local=change_local(inputs.local, figure, rates))

    return change


def _local_time(local: LocalOption, figure: Figure, rates: MachineRates) -> LocalOption:
    """Every cost of eq. (1) follows the time."""
    scale = figure.of(local.time_s) / local.time_s if local.time_s else 1.0
    return scaled(local, scale)


def _rate(term: str, rate_of: Callable[[MachineRates], float]) -> LocalChange:
    """One term of eq. (1) follows one of the owner's rates."""

    def change(local: LocalOption, figure: Figure, rates: MachineRates) -> LocalOption:
        old = rate_of(rates)
        if old <= 0.0:
            raise UsageError(f"the rate is 0 now, so what {term} would cost cannot be scaled: set it in [machine]")
        cost: InternalCost = msgspec.structs.replace(
            local.cost, **{f"{term}_micro": getattr(local.cost, f"{term}_micro") * figure.of(old) / old}
        )
        return msgspec.structs.replace(local, cost=cost)

    return change


def _opportunity(local: LocalOption, figure: Figure, rates: MachineRates) -> LocalOption:
    micro = figure.of(local.cost.opportunity_micro / MICRO) * MICRO
    return msgspec.structs.replace(local, cost=msgspec.structs.replace(local.cost, opportunity_micro=micro))


def _local_success(local: LocalOption, figure: Figure, rates: MachineRates) -> LocalOption:
    return msgspec.structs.replace(local, success=figure.of(local.success))


def _setting(field: str, scale: float = 1.0) -> Callable[[Inputs, Figure, MachineRates], Inputs]:
    def change(inputs: Inputs, figure: Figure, rates: MachineRates) -> Inputs:
        new = figure.of(getattr(inputs.config, field) / scale) * scale
        return msgspec.structs.replace(inputs, config=msgspec.structs.replace(inputs.config, **{field: new}))

    return change


def scaled(local: LocalOption, scale: float) -> LocalOption:
    """The local option on a machine that needs `scale` times as long: every cost of eq. (1) follows the time."""
    cost = local.cost
    return msgspec.structs.replace(
        local,
        time_s=local.time_s * scale,
        p95_s=local.p95_s * scale,
        cost=InternalCost(
            compute_micro=cost.compute_micro * scale,
            memory_micro=cost.memory_micro * scale,
            energy_micro=cost.energy_micro * scale,
            opportunity_micro=cost.opportunity_micro * scale,
            depreciation_micro=cost.depreciation_micro * scale,
        ),
    )


NAMES: dict[str, Name] = {
    "price": Name("money", "what sellers ask", True, _price),
    "rtt": Name("duration", "round trip to sellers", True, _of_seller("rtt_s")),
    "duration": Name("duration", "how long sellers need", True, _duration),
    "bandwidth": Name("size", "bytes a second to sellers", True, _of_seller("bandwidth_bytes_per_s")),
    "claimed-success": Name("share", "what sellers claim to get right", True, _of_seller("claimed_success")),
    "successes": Name("count", "good jobs seen of sellers", True, _jobs("successes")),
    "failures": Name("count", "bad jobs seen of sellers", True, _jobs("failures")),
    "budget": Name("money", "the most that may be paid", False, _of_facts("budget_micro", MICRO, whole=True)),
    "value": Name("money", "what a good result is worth", False, _of_facts("value_micro", MICRO, whole=True)),
    "deadline": Name("duration", "time left", False, _of_facts("deadline_s")),
    "input": Name("size", "size of the input", False, _of_facts("input_bytes", whole=True)),
    "local-time": Name("duration", "how long it takes here", False, _of_local(_local_time)),
    "local-success": Name("share", "how often it goes well here", False, _of_local(_local_success)),
    "hourly-rate": Name("money", "this machine's price an hour", False,
                        _of_local(_rate("compute", lambda rates: rates.hourly_rate_usd))),
    "energy-price": Name("money", "a kilowatt-hour here", False,
                         _of_local(_rate("energy", lambda rates: rates.energy_usd_per_kwh))),
    "opportunity": Name("money", "what waits for this machine meanwhile", False, _of_local(_opportunity)),
    "time-value": Name("money", "an hour of waiting", False, _setting("time_value_micro_per_s", MICRO / 3600.0)),
    "dishonest": Name("share", "sellers taken to lie, on average", False, _setting("dishonest_share")),
    "doubt": Name("share", "sellers taken to lie, where care is needed", False, _setting("doubted_share")),
    "pessimism": Name("count", "deviations off a seller's success, in other policies", False, _setting("pessimism")),
    "gamma": Name("count", "severity of a leak, in values of the task", False, _setting("gamma")),
    "risk-weight": Name("share", "weight of the worst cases", False, _setting("risk_weight")),
    "transfer-price": Name("money", "a gigabyte of transfer", False, _setting("transfer_usd_per_gb")),
}  # fmt: skip
