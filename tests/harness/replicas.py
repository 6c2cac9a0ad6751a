"""Single replicas of a simulated committee, driven by hand, and what they want done."""

from collections.abc import Sequence

from coalesced.sim.ledger.machine import KeyValues, Values
from coalesced.sim.ledger.node import EPOCH_UNIX_MS, Genesis, identity_of
from coalesced.sim.ledger.table import Table
from node.ledger.pbft.config import PbftConfig
from node.ledger.pbft.core import Core
from node.ledger.pbft.effects import Broadcast, Commit, Effect, Send
from node.ledger.pbft.state import Now
from protocol.consensus import AnyConsensus

MS = EPOCH_UNIX_MS + 1000


def at(seconds: float) -> Now:
    """Both clocks, so many seconds after the start."""
    return Now(seconds, MS + int(seconds * 1000))


def core_of(who: int, n: int, machine: KeyValues | None = None, config: PbftConfig | None = None) -> Core[Values]:
    """Replica `who` of a committee of `n`, at the genesis."""
    genesis = Genesis(tuple(identity_of(index).public_key for index in range(n)))
    return Core(
        identity_of(who),
        machine or KeyValues(),
        config or PbftConfig(),
        chain=genesis.chain,
        head=genesis.head,
        state=genesis.state,
    )


def commits(effects: Sequence[Effect[Values]]) -> list[Commit[Values]]:
    """What became final."""
    return [effect for effect in effects if isinstance(effect, Commit)]


def sent(effects: Sequence[Effect[Values]]) -> list[AnyConsensus]:
    """All messages, to whomever."""
    return [effect.message for effect in effects if isinstance(effect, Send | Broadcast)]


def commit(t: Table, tx: bytes) -> None:
    """Have replica 0 of a healthy table decide a transaction."""
    t.rules.submitted.add(tx)
    node = t.nodes[0]
    assert node.core is not None
    node.core.submit(at(t.now_s), tx)
    t.settle()
