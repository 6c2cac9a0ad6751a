"""What each simulated node is: its key, its machine, what it sells and may spend, and how honest it is. Seeded."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from coalesced.config import Config, NodeConfig, Source
from coalesced.paths import Paths
from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import Address
from node.community.config import LedgerConfig
from node.decision.internal_cost import MachineRates
from node.execute import catalogue
from node.execute.config import ExecuteConfig
from node.execute.inline import BuiltinWork, Pace
from node.net.endpoint import Endpoint
from node.outsource.config import ClientConfig, ContractorConfig
from node.store.spending import Caps
from protocol.specification import Effort

NETWORK = "sim"
PORT = 7733
SELLING_SHARE = 0.5
SOLD_SKILLS = 3
"""Of the four builtin ones, by a seller; node 0 sells all."""
FABRICATING_EVERY = 6
"""One node in so many sells, fast and cheap, and delivers results of other inputs now and then."""
FABRICATION = 0.5
"""How often it does."""
FAST = 0.3
MAX_CLOCK_ERROR_MS = 2_000
"""Clocks of machines that keep time by NTP differ by less."""
SECONDS_PER_UNIT: Mapping[str, float] = {
    "document-analysis": 2e-3,
    "portfolio": 5e-2,
    "risk": 1e-4,
    "sentiment": 5e-3,
}
"""So that the inputs of workload.py take one to a few seconds on a machine of speed 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One node before it is started. `slowness`: seconds for what takes a machine of speed 1 one second."""

    number: int
    identity: Identity
    slowness: float
    sells: tuple[str, ...]
    """Labels; empty for most buyers."""
    fabricates: bool
    clock_error_ms: int
    caps: Caps

    @property
    def host(self) -> str:
        """A host of its own."""
        return host_of(self.number)

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens, for datagrams and for frames."""
        return Endpoint(self.host, PORT)

    @property
    def pace(self) -> Pace:
        """How long work takes here."""
        return lambda label, units: max(0.05, SECONDS_PER_UNIT[label] * units * self.slowness)


def host_of(number: int) -> str:
    """The address of node `number`."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def datagram_address(number: int) -> Address:
    """Where its DHT listens."""
    return host_of(number), PORT


def profile_of(seed: int, number: int) -> Profile:
    """Node `number` of the world of that seed. Node 0 sells and is honest, so that there is a market."""
    rng = random.Random(f"{seed}/{number}/profile")
    fabricates = number % FABRICATING_EVERY == 1
    is_seller = number == 0 or fabricates or rng.random() < SELLING_SHARE
    labels = sorted(SECONDS_PER_UNIT)
    sells = tuple(labels) if number == 0 else tuple(sorted(rng.sample(labels, SOLD_SKILLS))) if is_seller else ()
    # Who sells has the machine for it; who does not is mostly better off buying.
    slowness = rng.lognormvariate(-0.5, 0.5) if is_seller else rng.lognormvariate(1.5, 0.8)
    if fabricates:
        slowness = FAST
    return Profile(
        number=number,
        identity=Identity(random.Random(f"{seed}/{number}/key").randbytes(32)),
        slowness=slowness,
        sells=sells,
        fabricates=fabricates,
        clock_error_ms=rng.randint(-MAX_CLOCK_ERROR_MS, MAX_CLOCK_ERROR_MS),
        # Small enough to bind in some runs: a task costs about ten micro-dollars.
        caps=Caps(day_micro=rng.choice((50, 300, 1_000_000)), peer_micro=rng.choice((30, 100, 250_000))),
    )


def config_of(profile: Profile) -> Config:
    """The whole configuration of that node: the defaults, but for what makes it this node."""
    nowhere = Path("/nonexistent")
    return Config(
        source=Source(Paths(nowhere, nowhere / "config.toml")),
        node=NodeConfig(network=NETWORK, port=PORT, in_memory=True),
        # With the usual 20 everybody would hold everything in a world of 30, and most of a run would be spent on it.
        dht=DhtConfig(k=8),
        caps=profile.caps,
        client=ClientConfig(default_deadline_s=60.0),
        contractor=ContractorConfig(sell=bool(profile.sells), skills=profile.sells),
        execute=ExecuteConfig(max_workers=2, max_queued=8),
        machine=MachineRates(memory_bytes=8 * 2**30),
        # It has a simulator of its own (coalesced/sim/ledger).
        ledger=LedgerConfig(enabled=False),
    )


class Fabricating(BuiltinWork):
    """Work that now and then hands over the result of something else, well-formed and wrong."""

    def __init__(self, honest: BuiltinWork, rng: random.Random) -> None:
        super().__init__()
        self._honest = honest
        self._rng = rng

    def run(self, label: str, data: bytes, media_type: str, effort: Effort) -> bytes:
        """The result, or that of the skill's own example."""
        if self._rng.random() < FABRICATION:
            skill = next(skill for skill in catalogue.SKILLS if skill.label == label)
            data, media_type = skill.example, skill.example_media_type
        return self._honest.run(label, data, media_type, effort)
