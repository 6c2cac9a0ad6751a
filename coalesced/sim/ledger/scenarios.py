"""What kinds of worlds there are: how many replicas, who lies, what the network and the nemesis do until it heals."""

from dataclasses import dataclass, field
from typing import Final, Literal

from coalesced.testnet.manifest import Lie

NemesisKind = Literal["one_commits", "few_prepare", "crash_on_vote", "lost_leader"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What the network does to every message, and how often it falls apart."""

    loss: float = 0.0
    duplicate: float = 0.0
    delay_s: tuple[float, float] = (0.005, 0.03)
    partition_every_s: float | None = None
    """Mean time from one partition's end to the next one's begin; a partition takes up to 8 s."""


FINE: Final = Weather()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Chaos for `chaos_s`, then everything heals but the liars; then all that is owed has to happen in `grace_s`."""

    name: str
    n: int = 4
    weather: Weather = FINE
    after: Weather = FINE
    liars: dict[int, Lie] = field(default_factory=dict)
    twins: tuple[int, ...] = ()
    """Members whose key runs in two processes."""
    nemesis: tuple[NemesisKind, ...] = ()
    """One of these, drawn by the seed."""
    crash_every_s: float | None = None
    forget_every_s: float | None = None
    """Mean time until a member loses its disk and with it its votes; one at a time."""
    prunes: bool = False
    """Replicas keep only the last blocks."""
    away_s: tuple[float, float] = (0.05, 4.0)
    """How long a machine that crashed stays down."""
    observers: int = 0
    reconfigures: bool = False
    chaos_s: float = 30.0
    grace_s: float = 200.0

    @property
    def dishonest(self) -> frozenset[int]:
        """Members whose key does what it must not."""
        return frozenset(self.liars) | frozenset(self.twins)


MILD: Final = Weather(loss=0.05, duplicate=0.05, delay_s=(0.005, 0.2), partition_every_s=8.0)
HEAVY: Final = Weather(loss=0.25, duplicate=0.25, delay_s=(0.005, 1.5), partition_every_s=5.0)
TORN: Final = Weather(loss=0.02, delay_s=(0.005, 0.1), partition_every_s=1.5)

SCENARIOS: Final[dict[str, Scenario]] = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="weather", weather=MILD),
        Scenario(name="heavy", weather=HEAVY, crash_every_s=10.0),
        Scenario(name="crash", weather=MILD, crash_every_s=2.0),
        Scenario(name="twins", weather=TORN, twins=(3,)),
        Scenario(name="silent", weather=MILD, liars={1: "silent"}),
        Scenario(name="liar", weather=MILD, liars={0: "liar"}),
        Scenario(name="one_commits", nemesis=("one_commits",)),
        Scenario(name="few_prepare", nemesis=("few_prepare",)),
        Scenario(name="crash_on_vote", nemesis=("crash_on_vote",)),
        Scenario(name="lost_leader", nemesis=("lost_leader",)),
        Scenario(name="liar_and_nemesis", liars={2: "liar"}, nemesis=("one_commits", "few_prepare", "lost_leader")),
        Scenario(name="six", n=6, weather=TORN),
        Scenario(name="six_and_nemesis", n=6, nemesis=("one_commits", "few_prepare", "lost_leader", "crash_on_vote")),
        Scenario(name="seven_two_twins", n=7, weather=TORN, twins=(0, 3)),
        Scenario(
            name="slow",
            weather=MILD,
            after=Weather(delay_s=(1.0, 2.0)),
            liars={1: "silent"},
            chaos_s=10.0,
            grace_s=2000.0,
        ),
        Scenario(name="equivocator", weather=MILD, liars={0: "equivocator"}),
        Scenario(name="replayer", weather=MILD, liars={2: "replayer"}),
        Scenario(name="slow_member", weather=MILD, liars={0: "slow"}),
        Scenario(name="vote_withholder", weather=MILD, liars={1: "vote-withholder"}),
        Scenario(name="seven_two_liars", n=7, weather=MILD, liars={0: "twin", 4: "equivocator"}, crash_every_s=8.0),
        Scenario(name="forgetful", weather=MILD, crash_every_s=8.0, forget_every_s=8.0),
        Scenario(
            name="pruned",
            weather=MILD,
            crash_every_s=6.0,
            away_s=(0.5, 14.0),
            liars={0: "liar"},
            observers=2,
            prunes=True,
            chaos_s=45.0,
        ),
        Scenario(
            name="pruned_and_forgetful",
            weather=MILD,
            crash_every_s=8.0,
            forget_every_s=8.0,
            away_s=(0.5, 10.0),
            observers=2,
            prunes=True,
            chaos_s=45.0,
        ),
        Scenario(
            name="pruned_reconfiguration",
            weather=MILD,
            crash_every_s=8.0,
            away_s=(0.5, 10.0),
            observers=3,
            reconfigures=True,
            prunes=True,
            chaos_s=45.0,
        ),
        Scenario(name="reconfiguration", weather=MILD, crash_every_s=8.0, observers=3, reconfigures=True),
    )
}
