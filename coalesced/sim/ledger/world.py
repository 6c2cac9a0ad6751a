"""One simulated committee in virtual time: a heap of events, a network with weather, crashes, liars and a nemesis.

Everything random comes from the scenario's name and the seed; nothing depends on hashes of objects or on real time.
"""

import hashlib
import heapq
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from coalesced.sim.ledger.machine import KeyValues, Values
from coalesced.sim.ledger.nemesis import NEMESES, Nemesis
from coalesced.sim.ledger.node import EPOCH_UNIX_MS, Genesis, Node, identity_of
from coalesced.sim.ledger.rules import Rules
from coalesced.sim.ledger.scenarios import Scenario
from coalesced.testnet.byzantine.conduct import Conduct, Outgoing, Situation
from coalesced.testnet.byzantine.kinds import CONDUCTS
from node.ledger.pbft.config import PbftConfig
from node.ledger.pbft.effects import Effect
from node.ledger.pbft.opened import Verified, verify
from node.ledger.pbft.state import Now
from protocol.consensus import AnyConsensus, decode_consensus, encode_consensus
from protocol.errors import RemoteProtocolError

MAX_EVENTS = 60_000
"""A run of a correct core has about a tenth: more means that replicas talk for ever."""
TXS_AFTER = 6
"""Submitted after everything has healed; each of them has to be committed."""
SKEW_MS = 2000


class Letter:
    """A message on its way to several replicas: decoded and verified once."""

    __slots__ = ("_verified", "message")

    def __init__(self, message: AnyConsensus) -> None:
        self.message = message
        self._verified: Verified | RemoteProtocolError | None = None

    def verified(self) -> Verified | RemoteProtocolError:
        """As any receiver sees it."""
        if self._verified is None:
            try:
                self._verified = verify(decode_consensus(encode_consensus(self.message)))
            except RemoteProtocolError as error:
                self._verified = error
        return self._verified


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to. Equal scenarios and seeds give equal hashes, whatever ran them."""

    scenario: str
    seed: int
    violations: tuple[str, ...]
    height: int
    view: int
    events: int
    virtual_s: float
    trace: str

    @property
    def command(self) -> str:
        """What repeats this run."""
        return f"scripts/sim --ledger --scenario {self.scenario} --seed {self.seed}"

    def __str__(self) -> str:
        return (
            f"{self.scenario} seed {self.seed}: {self.height} blocks, view {self.view}, {self.events} events, "
            f"{self.virtual_s:.0f} s, {len(self.violations)} violations, trace {self.trace[:16]}"
        )


class World:
    """One run."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.seed = seed
        self.rng = Random(f"{scenario.name}/{seed}")
        self.genesis = Genesis(tuple(identity_of(index).public_key for index in range(scenario.n)))
        self.rules = Rules(self.genesis, {identity_of(index).public_key for index in scenario.dishonest})
        self.now_s = 0.0
        self.events = 0
        self.trace = hashlib.sha256()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        keys = [*range(scenario.n), *scenario.twins, *(100 + index for index in range(scenario.observers))]
        self.nodes = [
            Node(at, identity_of(key), self.genesis, PbftConfig(), self._watch, prunes=scenario.prunes)
            for at, key in enumerate(keys)
        ]
        self.skew_ms = [self.rng.randint(-SKEW_MS, SKEW_MS) for _ in self.nodes]
        self.wakes_s: list[float | None] = [None] * len(self.nodes)
        self.liars: dict[int, Conduct[Values]] = {
            at: CONDUCTS[kind](self._situation(self.nodes[at])) for at, kind in scenario.liars.items()
        }
        self.honest = [node for node in self.nodes if node.key not in self.rules.dishonest]
        self.nemesis: Nemesis | None = None
        if scenario.nemesis:
            self.nemesis = NEMESES[self.rng.choice(scenario.nemesis)](self.honest, self.rng)
        self.side: list[int] = [0] * len(self.nodes)
        """The part of a partition that each node is in."""
        self.weather = scenario.weather
        self.healed = False
        self.owed: set[bytes] = set()

    # --- a run

    def run(self) -> Outcome:
        """Chaos, then peace; then everybody must have everything."""
        scenario = self.scenario
        for node in self.nodes:
            self._send(node, node.start())
            self._after(node)
        self._at(self.rng.uniform(0, 1), self._client)
        if scenario.weather.partition_every_s is not None:
            self._at(self._soon(scenario.weather.partition_every_s), self._partition)
        if scenario.crash_every_s is not None:
            self._at(self._soon(scenario.crash_every_s), self._crash_one)
        if scenario.forget_every_s is not None:
            self._at(self._soon(scenario.forget_every_s), self._forget_one)
        self._at(scenario.chaos_s, self._heal)
        end_s = scenario.chaos_s + scenario.grace_s
        while self._heap and self.events < MAX_EVENTS and not self.rules.violations and not self._is_done():
            self.now_s, _, event = heapq.heappop(self._heap)
            if self.now_s > end_s:
                break
            self.events += 1
            try:
                event()
            except Exception:  # noqa: BLE001  the edge of the run
                # A core is total: whatever it raises is a finding, and its run must still print how to repeat it.
                self.rules.violated(f"a replica raised {traceback.format_exc(limit=-3)}")
        if not self.rules.violations and not self._is_done():
            self._report_standstill()
        return self._outcome()

    def _outcome(self) -> Outcome:
        for height, hash_ in sorted(self.rules.blocks.items()):
            self.trace.update(b"%d" % height + hash_)
        for state in self.rules.states.values():
            self.trace.update(KeyValues().root(state))
        return Outcome(
            scenario=self.scenario.name,
            seed=self.seed,
            violations=tuple(self.rules.violations),
            height=max(self.rules.blocks, default=0),
            view=max((node.core.replica.view for node in self.honest if node.core is not None), default=0),
            events=self.events,
            virtual_s=self.now_s,
            trace=self.trace.hexdigest(),
        )

    def _is_done(self) -> bool:
        """Healed, everything owed committed, everybody equally far, nobody waiting for anything."""
        if not self.healed or len(self.owed) < TXS_AFTER:
            return False
        height = max(self.rules.states, default=0)
        if any(node.height != height or node.core is None for node in self.honest):
            return False
        if height == 0 or not self.owed <= self.rules.states[height].applied:
            return False
        if any(node.disk.forgot and node.key in self.rules.states[height].members for node in self.honest):
            return False
        return all(node.core is not None and len(node.core.replica.pool) == 0 for node in self.honest)

    def _report_standstill(self) -> None:
        where = "; ".join(f"{node.index}: {node.core or 'down'}" for node in self.nodes)
        self.rules.violated(f"liveness: not everything was committed {self.now_s:.0f} s after the start ({where})")

    # --- events

    def _at(self, at_s: float, event: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._heap, (at_s, self._number, event))

    def _soon(self, mean_s: float) -> float:
        return self.now_s + self.rng.expovariate(1 / mean_s)

    def _client(self) -> None:
        """Somebody submits something, to one honest node or to several."""
        up = [node for node in self.honest if node.is_up]
        if up:
            tx = self._transaction()
            self.rules.submitted.add(tx)
            for node in self.rng.sample(up, self.rng.choice((1, 1, min(2, len(up)), len(up)))):
                self._submit(node, tx)
            if self.healed and tx.startswith(b"set"):
                self.owed.add(KeyValues().tx_id(tx))
        if len(self.owed) < TXS_AFTER:
            self._at(self.now_s + self.rng.uniform(0.3, 2.0), self._client)

    def _transaction(self) -> bytes:
        if self.scenario.reconfigures and self.rng.random() < 0.3:
            key = self.rng.choice(self.nodes).key
            state = self.rules.states.get(max(self.rules.states, default=0), self.genesis.state)
            if key not in state.members:
                return b"join %s" % key.hex().encode()
            if len(state.members) > 3:
                return b"leave %s" % key.hex().encode()
        return b"set k%d v%d" % (self.rng.randrange(8), self._number)

    def _submit(self, node: Node, tx: bytes) -> None:
        if node.core is not None:
            self._send(node, node.perform(node.core.submit(self._clock(node), tx)))
            self._after(node)

    def _partition(self) -> None:
        if not self.healed:
            self.side = [self.rng.randrange(2) for _ in self.nodes]
            if self.rng.random() < 0.5:  # two halves: the hardest for a quorum that is too small
                self.side = [at % 2 for at in range(len(self.nodes))]
                self.rng.shuffle(self.side)
            self._at(self.now_s + self.rng.uniform(0.5, 8.0), self._reunite)

    def _reunite(self) -> None:
        self.side = [0] * len(self.nodes)
        if self.scenario.weather.partition_every_s is not None:
            self._at(self._soon(self.scenario.weather.partition_every_s), self._partition)

    def _crash_one(self) -> None:
        """A process ends, or will in the middle of its next steps."""
        if self.healed or self.scenario.crash_every_s is None:
            return
        node = self.rng.choice(self.honest)
        node.is_power = self.rng.random() < 0.5
        if node.is_up and self.rng.random() < 0.3:
            node.crash(power=node.is_power)
            self._after(node)
        elif node.is_up:
            node.effects_until_crash = self.rng.randrange(12)
        self._at(self._soon(self.scenario.crash_every_s), self._crash_one)

    def _forget_one(self) -> None:
        """A member's disk is lost, unless another member is in doubt already: f is 1."""
        if self.healed or self.scenario.forget_every_s is None:
            return
        if not any(node.disk.forgot for node in self.honest):
            node = self.rng.choice(self.honest)
            was_up = node.is_up
            node.forget()
            if was_up:
                self._after(node)
        self._at(self._soon(self.scenario.forget_every_s), self._forget_one)

    def _prove(self, node: Node) -> None:
        """Make a transaction that nobody could have made before."""
        if node.core is not None:
            self._number += 1
            tx = b"set proof%d v%d" % (node.index, self._number)
            self.rules.submitted.add(tx)
            self._send(node, node.perform(node.core.prove(self._clock(node), tx)))
            self._after(node)

    def _restart(self, node: Node) -> None:
        if not node.is_up:
            self._send(node, node.start())
            self.rules.restarted(node)
            self._after(node)

    def _heal(self) -> None:
        """GST: the network behaves from now on, and every machine runs."""
        self.healed, self.weather, self.nemesis = True, self.scenario.after, None
        self.side = [0] * len(self.nodes)
        for node in self.nodes:
            node.effects_until_crash = None
            self._restart(node)

    # --- replicas

    def _clock(self, node: Node) -> Now:
        unix_ms = EPOCH_UNIX_MS + 10_000 + int(self.now_s * 1000) + self.skew_ms[node.index]
        return Now(self.now_s, unix_ms)

    def _situation(self, node: Node) -> Situation[Values]:
        return Situation(
            identity=node.identity,
            chain=self.genesis.chain,
            rng=self.rng,
            core=lambda: node.core,
            known=lambda: [other.key for other in self.nodes],
            now=lambda: self._clock(node),
        )

    def _watch(self, node: Node, effect: Effect[Values]) -> None:
        self.rules.watch(node, effect)

    def _deliver(self, sender: Node, receiver: Node, letter: Letter) -> None:
        verified = letter.verified()
        if isinstance(verified, RemoteProtocolError):
            if sender.key not in self.rules.dishonest:
                self.rules.violated(f"node {sender.index} sent what cannot be verified: {verified}")
            return
        if receiver.core is None:
            return
        self.trace.update(b"%d %d %d " % (self.events, sender.index, receiver.index))
        if receiver.index in self.liars:
            self.liars[receiver.index].hear(sender.key, letter.message)
        self._send(receiver, receiver.perform(receiver.core.step(self._clock(receiver), sender.key, verified)))
        self._after(receiver)

    def _wake(self, node: Node, at_s: float) -> None:
        if node.core is not None and self.wakes_s[node.index] == at_s:
            self.wakes_s[node.index] = None
            self._send(node, node.perform(node.core.tick(self._clock(node))))
            self._after(node)

    def _after(self, node: Node) -> None:
        """A replica made a step: it may have crashed, it wants to be woken, the nemesis looks at it."""
        if node.core is None:
            self.wakes_s[node.index] = None
            self._at(self.now_s + self.rng.uniform(*self.scenario.away_s), lambda: self._restart(node))
            return
        if node.wants_proof:
            node.wants_proof = False
            self._at(self.now_s, lambda: self._prove(node))
        if self.nemesis is not None and node in self.nemesis.nodes:
            self.nemesis.look(node, self.now_s)
        due_s = node.core.deadline()
        if due_s is not None:
            due_s = max(due_s, self.now_s + 0.001)
            planned_s = self.wakes_s[node.index]
            if planned_s is None or due_s < planned_s:
                self.wakes_s[node.index] = due_s
                self._at(due_s, lambda: self._wake(node, due_s))

    # --- the network

    def _send(self, sender: Node, outgoing: Iterable[Outgoing]) -> None:
        if sender.index in self.liars:
            outgoing = list(self.liars[sender.index].twist(list(outgoing)))
        for out in outgoing:
            letter = Letter(out.message)
            for receiver in self.nodes:
                if receiver is not sender and self._is_addressed(sender, receiver, out):
                    self._carry(sender, receiver, letter, out.after_s)

    def _is_addressed(self, sender: Node, receiver: Node, out: Outgoing) -> bool:
        if out.to is not None:
            return receiver.key == out.to
        is_member = sender.core is None or receiver.key in sender.core.replica.committee
        return out.audience == "all" or (out.audience == "members") == is_member

    def _carry(self, sender: Node, receiver: Node, letter: Letter, after_s: float) -> None:
        weather, rng = self.weather, self.rng
        if self.side[sender.index] != self.side[receiver.index] or rng.random() < weather.loss:
            return
        verified, nemesis = letter.verified(), self.nemesis
        if nemesis is not None and not isinstance(verified, RemoteProtocolError):
            passes = nemesis.passes(sender, receiver, verified, self.now_s)
        else:
            passes = True
        if not passes:
            return
        copies = 2 if rng.random() < weather.duplicate else 1
        for _ in range(copies):
            at_s = self.now_s + after_s + rng.uniform(*weather.delay_s)
            self._at(at_s, lambda: self._deliver(sender, receiver, letter))


def simulate(scenario: Scenario, seed: int) -> Outcome:
    """Run one world to its end."""
    return World(scenario, seed).run()
