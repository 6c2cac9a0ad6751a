"""What one simulated market is like: a frozen, checked value, and the scenarios that have a name."""

import difflib
from collections.abc import Iterable
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from node.decision.checked import Checked, Probability

Arrivals = Literal["paper", "code"]
Demand = Literal["code", "paper"]
Skills = Literal["exact", "paper"]
Overbilling = Literal["unseen", "seen", "refused", "none"]
Ring = Literal["rotation", "markup"]
Factor = Annotated[float, Meta(ge=0.01, le=100)]
Units = Annotated[int, Meta(ge=1, le=10_000)]


class Shock(Checked, frozen=True, kw_only=True):
    """A disturbance in the middle of a run. Moments are shares of the run."""

    kind: Literal["price", "supply"]
    start: Probability = 0.4
    end: Probability = 0.7
    factor: Factor = 2.0
    """price: what quotes are multiplied by."""
    share: Probability = 0.5
    """Sellers that it hits: whose prices change, or who are gone."""


class Scenario(Checked, frozen=True, kw_only=True):
    """One market. Shares are of the sellers; what they leave over is honest."""

    name: str = "custom"
    clients: Units = 1
    contractors: Units = 30
    tasks: Annotated[int, Meta(ge=1, le=1_000_000)] | None = 500
    """How many, at the paper's rate; None: as many as arrive in `hours`."""
    hours: Annotated[int, Meta(ge=1, le=100_000)] = 24 * 7
    arrivals: Arrivals = "paper"
    """paper: Poisson, 2.5 an hour. code: 4.2 times a demand that rises in business hours."""
    demand: Demand = "code"
    """code: drifts from U(.2,.9) upward with the market, while capacity fills up. paper: within 25 % of one half."""
    skills: Skills = "exact"
    """exact: every seller sells the very skill. paper: eq. (12) on the paper's skill sets, where few match."""
    always_offered: bool = False
    """Every seller answers every request, as in the authors' code."""
    local_scale: Annotated[float, Meta(ge=1e-9, le=1000)] = 0.2
    """Local cost against the printed regime ($139 a task): .2 is parity ($28)."""
    printed_opportunity: bool = False
    """Add eq. (5) as printed to the local cost, where a client has further tasks waiting."""
    sensitivity: Probability = 0.3
    """DS of eq. (15), for every task: `internal` data."""
    surfacing: Probability = 1.0
    """Share of undetected bad work whose damage the client later traces to its seller."""
    overbilling: Overbilling = "seen"
    """What becomes of a bill above the quote. unseen: it is paid and taken for nothing bad. seen: paid, and taken for a
    fault. refused: not paid, a fault, and the work is done again, as this node has it. none: sellers who know that it
    would be refused bill what they quoted, and only the work is worse than promised."""
    exaggeration: Probability = 0.0
    """Share of their failures that honest sellers leave out of what they claim."""

    spoofers: Probability = 0.0
    fabricators: Probability = 0.0
    baiters: Probability = 0.0
    whitewashers: Probability = 0.0
    leechers: Probability = 0.0

    colluders: Probability = 0.0
    ring: Ring = "rotation"
    """How colluders quote. rotation: one in turn at an agreed price, the others just above. markup: each its own price
    and two fifths more, as a dearer seller would."""
    hoarders: Probability = 0.0
    predators: Probability = 0.0
    feeders: Probability = 0.0
    """Sellers that live on exploration: any price that the budget allows, and bad work."""

    regions: Annotated[int, Meta(ge=1, le=6)] = 1
    """How many regions clients and sellers are spread over; 1 = all in one place, with its RTT."""
    shocks: tuple[Shock, ...] = ()
    shared_reputation: bool = False
    """Clients see each other's outcomes, as a market maker or a ledger gives them."""
    liars: Probability = 0.0
    """Share of the clients that report the opposite of what happened."""

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        shares = {name: getattr(self, name) for name in (*DECEITS, *STRATEGIES)}
        if sum(shares.values()) > 1.0 + 1e-9:
            used = ", ".join(f"{name}={share:g}" for name, share in shares.items() if share)
            raise ValueError(f"Scenario: the shares of the sellers add up to more than 1 ({used}); lower one")

    @property
    def dishonest(self) -> float:
        """Share of the sellers of the five dishonest kinds."""
        return self.spoofers + self.fabricators + self.baiters + self.whitewashers + self.leechers


DECEITS: Final = ("spoofers", "fabricators", "baiters", "whitewashers", "leechers")
"""Scenario fields in the order of `sellers.Kind`."""
STRATEGIES: Final = ("colluders", "hoarders", "predators", "feeders")


def mixed(base: Scenario, share: float) -> Scenario:
    """The same market with the usual dishonest mix: spoofers, fabricators and baiters in equal parts."""
    third = share / 3
    return msgspec.structs.replace(base, spoofers=third, fabricators=third, baiters=third)


def _named() -> dict[str, Scenario]:
    parity = Scenario(name="parity")
    crowd = mixed(msgspec.structs.replace(parity, clients=15, tasks=1500), 0.4)
    cheap = msgspec.structs.replace(parity, local_scale=0.05)
    made = [
        parity,
        _vary(mixed(parity, 0.2), "parity-20"),
        _vary(mixed(parity, 0.4), "parity-40"),
        _vary(parity, "spoofers", spoofers=0.4),
        _vary(parity, "fabricators", fabricators=0.4),
        _vary(parity, "baiters", baiters=0.4),
        _vary(parity, "whitewashers", whitewashers=0.4),
        _vary(parity, "leechers", leechers=0.4),
        _vary(parity, "all-five", spoofers=0.1, fabricators=0.1, baiters=0.1, whitewashers=0.1, leechers=0.1),
        _vary(parity, "collusion", colluders=0.3),
        _vary(parity, "hoarding", hoarders=0.2),
        _vary(parity, "predation", predators=0.1),
        _vary(parity, "feeding", feeders=0.2),
        _vary(parity, "regions", regions=6),
        _vary(parity, "price-shock", shocks=(Shock(kind="price"),)),
        _vary(parity, "supply-shock", shocks=(Shock(kind="supply", share=0.7),)),
        _vary(crowd, "alone-15"),
        _vary(crowd, "shared-15", shared_reputation=True),
        _vary(crowd, "lying-15", shared_reputation=True, liars=0.2),
        _vary(cheap, "cheap-local"),
        _vary(mixed(cheap, 0.2), "cheap-local-20"),
        _vary(mixed(cheap, 0.4), "cheap-local-40"),
        _vary(parity, "exaggerating", exaggeration=0.5),
        _vary(mixed(parity, 0.4), "exaggerating-40", exaggeration=0.5),
        _vary(parity, "costly-local", local_scale=1.0),
    ]
    return {one.name: one for one in made}


def _vary(base: Scenario, name: str, **changes: object) -> Scenario:
    return msgspec.structs.replace(base, name=name, **changes)


SCENARIOS: Final = _named()


def scenario(name: str) -> Scenario:
    """The scenario of that name; ValueError lists the nearest, or all."""
    if name in SCENARIOS:
        return SCENARIOS[name]
    near = difflib.get_close_matches(name, SCENARIOS, 3)
    hint = f"nearest: {', '.join(near)}" if near else f"write one of {', '.join(SCENARIOS)}"
    raise ValueError(f"there is no scenario {name!r}; {hint}")


def changed(base: Scenario, changes: Iterable[str]) -> Scenario:
    """The scenario with fields set from texts as `local_scale=0.1`; ValueError names a field or value that is wrong."""
    values: dict[str, object] = {}
    for text in changes:
        name, sign, value = text.partition("=")
        if not sign or name not in Scenario.__struct_fields__ or name in ("name", "shocks"):
            fields = ", ".join(one for one in Scenario.__struct_fields__ if one not in ("name", "shocks"))
            raise ValueError(f"{text!r} sets no field of a scenario: write NAME=VALUE with one of {fields}")
        values[name] = value
    try:
        read = msgspec.convert(values, Scenario, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"--set {' '.join(changes)}: {error}") from error
    return msgspec.structs.replace(base, **{name: getattr(read, name) for name in values})
