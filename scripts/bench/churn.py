"""A network whose nodes come and go, in virtual time: sellers found that live, and records of some that do not.

A node lives for an exponentially distributed time, with the half-life given; a new one, with another key and address,
takes its place at once. Leaving is a crash, or a proper stop, which withdraws what was published. The first nodes sell:
each publishes under a name of its own, and so does whoever takes its place. Every ten minutes random nodes look names
up. A seller counts from a minute after its start. Nothing is signed. Stale are records of sellers that are gone, among
all that were found. Offered is who answers when it is spoken to, as a node does before it shows or hires anybody: the
node's own roll call, over encrypted sessions.
"""

import argparse
import asyncio
import logging
import math
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import structlog

import protocol.handshake
from coalesced.sim.frames import FrameNetwork, SimFrames, SimStream
from coalesced.sim.loop import SimLoop, run
from coalesced.sim.network import Link
from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import Address
from dht.ids import skill_key
from dht.records import Record
from dht.service import KademliaDiscovery
from node.net.config import NetConfig
from node.net.endpoint import Endpoint, parse_endpoint
from node.net.peers import Peers
from node.net.session import Call
from node.outsource.client.rollcall import Absences, RollCall
from node.outsource.client.seller import Seller
from protocol.messages import Message, Ok
from scripts.bench.report import heading, table
from scripts.bench.swarms import leave_signatures_out

NETWORK = "bench"
PORT = 4_000
NEW_S = 60.0
LOOK_EVERY_S = 600.0
LOOKS = 20
HOUR_S = 3_600.0
COLLECT_S = 600.0
"""Between collections of garbage: at 1,000 nodes each takes as long as a quarter of an hour of the town's life."""


@dataclass(slots=True)
class Tally:
    """What became of look-ups."""

    live: int = 0
    live_found: int = 0
    records: int = 0
    stale: int = 0

    def add(self, wanted: bytes, names: Sequence[bytes]) -> None:
        """One look-up of a seller that lives."""
        self.live += 1
        self.live_found += wanted in names
        self.records += len(names)
        self.stale += sum(name != wanted for name in names)

    def row(self) -> list[str]:
        """Three cells."""
        share = f"{100 * self.live_found / max(1, self.live):.1f} %"
        return [f"{self.live_found} of {self.live}", share, f"{100 * self.stale / max(1, self.records):.1f} %"]


@dataclass(slots=True)
class Seat:
    """A place in the network, and who has it now."""

    number: int
    node: KademliaDiscovery
    address: Address
    sessions: "Sessions"
    since_s: float
    lives: int = 0


class Dials(SimFrames):
    """A node's way to connections, which counts those that it opens."""

    count = 0

    async def dial(self, endpoint: Endpoint) -> SimStream:
        """See `SimFrames`."""
        Dials.count += 1
        return await super().dial(endpoint)


class Sessions:
    """A node's sessions with others, and its roll call."""

    def __init__(self, identity: Identity, host: str, frames: FrameNetwork, loop: SimLoop) -> None:
        self.transport = Dials(frames, host)
        self._rng = random.Random(f"{loop.seed}/{host}/sessions")
        # Nothing is done here but to speak to each other: sessions need not be looked after every few seconds.
        config = NetConfig(spare_close_s=HOUR_S, idle_close_s=HOUR_S)
        self.peers = Peers(identity, NETWORK, self.transport, _nothing, self._rng.randbytes, config)
        self.roll_call = RollCall(self.peers, Absences(), loop.unix_ms)

    async def end(self, *, crashing: bool) -> None:
        """Say goodbye, or nothing."""
        if crashing:
            self.transport.die(told=False)
        await self.peers.stop()


async def _nothing(call: Call) -> Message:
    return Ok()


@dataclass(slots=True)
class Town:
    """Seats, each taken at all times; the first `sellers` of them sell."""

    loop: SimLoop
    sellers: int
    half_life_s: float
    crashing: float
    seats: list[Seat] = field(default_factory=list)
    ordinary: Tally = field(default_factory=Tally)
    thorough: Tally = field(default_factory=Tally)
    offered: Tally = field(default_factory=Tally)
    frames: FrameNetwork = field(init=False)
    began: tuple[float, int] = (0.0, 0)
    """When nodes began to come and go, and datagrams sent before."""

    def __post_init__(self) -> None:
        self.frames = FrameNetwork(self.loop.network)

    async def settle(self, count: int, *, sells_at_once: bool) -> None:
        """Take all seats; sellers publish as they come, or once everybody is there."""
        self.loop.collect_s = COLLECT_S
        for number in range(count):
            seat = Seat(number, *self._made(number, 0), 0.0)
            self.seats.append(seat)
            await self._enter(seat, sells=sells_at_once)
            await asyncio.sleep(0.5)
        if not sells_at_once:
            for seat in self.seats[: self.sellers]:
                await seat.node.publish(_key(seat.number), _body(seat))

    async def live(self, for_s: float) -> None:
        """Come and go, and look, for so long."""
        self.began = (self.loop.time(), self.loop.network.sent)
        async with asyncio.TaskGroup() as group:
            coming = [group.create_task(self._turn_over(seat)) for seat in self.seats]
            rng = random.Random(f"{self.loop.seed}/look")
            for number in range(1, int(for_s / LOOK_EVERY_S) + 1):
                await asyncio.sleep(LOOK_EVERY_S)
                for _ in range(LOOKS):
                    await self._look(rng)
                if number * LOOK_EVERY_S % HOUR_S == 0:
                    rows = [tally.row() for tally in (self.ordinary, self.thorough, self.offered)]
                    print(f"after {number * LOOK_EVERY_S / HOUR_S:g} h: {rows}, {self.pace():.2f}", flush=True)
            for task in coming:
                task.cancel()

    async def _look(self, rng: random.Random) -> None:
        wanted = self.seats[rng.randrange(self.sellers)]
        asker = rng.choice([seat for seat in self.seats if seat is not wanted and self._is_settled(seat)])
        for thorough, tally in ((False, self.ordinary), (True, self.thorough)):
            seller, was_settled = wanted.node, self._is_settled(wanted)
            found = await asker.node.find(_key(wanted.number), timeout_s=10, thorough=thorough)
            if seller is not wanted.node or not was_settled:
                continue  # It changed while we looked, or is too new.
            tally.add(_body(wanted), [record.body for record in found])
            if thorough:
                sellers = [_seller(record) for record in found]
                here = await asker.sessions.roll_call.present(sellers, timeout_s=3)
                if seller is wanted.node:
                    self.offered.add(_body(wanted), [one.body for one in found if one.public_key in here])

    def pace(self) -> float:
        """Datagrams a second, a node."""
        began_s, sent = self.began
        return (self.loop.network.sent - sent) / (self.loop.time() - began_s) / len(self.seats)

    def _is_settled(self, seat: Seat) -> bool:
        return self.loop.time() - seat.since_s >= NEW_S

    async def _turn_over(self, seat: Seat) -> None:
        rng = random.Random(f"{self.loop.seed}/{seat.number}/life")
        while True:
            await asyncio.sleep(rng.expovariate(math.log(2) / self.half_life_s))
            crashing = rng.random() < self.crashing
            if crashing:
                self.loop.network.unplugged.add(seat.address[0])
            await seat.sessions.end(crashing=crashing)
            await seat.node.stop()
            self.loop.network.unplugged.discard(seat.address[0])  # Nobody is there any more.
            seat.lives += 1
            seat.node, seat.address, seat.sessions = self._made(seat.number, seat.lives)
            await self._enter(seat)

    async def _enter(self, seat: Seat, *, sells: bool = True) -> None:
        seat.since_s = self.loop.time()
        others = [other for other in self.seats if other is not seat]
        rng = random.Random(f"{self.loop.seed}/{seat.address}")
        seat.node.add_bootstrap([other.address for other in rng.sample(others, min(3, len(others)))])
        await seat.node.start([seat.address])
        await seat.sessions.peers.start([Endpoint(*seat.address)])
        if sells and seat.number < self.sellers:
            await asyncio.sleep(5)
            await seat.node.publish(_key(seat.number), _body(seat))

    def _made(self, number: int, lives: int) -> tuple[KademliaDiscovery, Address, Sessions]:
        rng = random.Random(f"{self.loop.seed}/{number}/{lives}")
        identity = Identity(rng.randbytes(32))
        node = KademliaDiscovery(
            identity,
            NETWORK,
            DhtConfig(),
            unix_ms=self.loop.unix_ms,
            rng=rng,
            entropy=rng.randbytes,
        )
        address = (f"10.{number >> 8}.{number & 255}.{lives & 255}", PORT + (lives >> 8))
        return node, address, Sessions(identity, address[0], self.frames, self.loop)


def _key(number: int) -> bytes:
    return skill_key(NETWORK, f"name-{number}")


def _body(seat: Seat) -> bytes:
    return b"%d/%d %s:%d" % (seat.number, seat.lives, seat.address[0].encode(), seat.address[1])


def _seller(record: Record) -> Seller:
    return Seller(record.public_key, parse_endpoint(record.body.split()[1].decode()), record.expires_unix_ms)


async def measure(loop: SimLoop, given: argparse.Namespace, half_life_h: float, crashing: float) -> list[list[str]]:
    """One run: its two rows."""
    town = Town(loop, given.sellers, half_life_h * HOUR_S, crashing)
    await town.settle(given.nodes, sells_at_once=given.publish_while_growing)
    dialled = Dials.count
    await town.live(given.hours * HOUR_S)
    given_cells = [f"{half_life_h:g} h", f"{100 * crashing:.0f} %"]
    tallies = {"found, ordinary": town.ordinary, "found, thorough": town.thorough, "offered": town.offered}
    dials = f"{(Dials.count - dialled) / max(1, town.offered.live):.2f}"
    return [
        [*given_cells, name, *tally.row(), f"{town.pace():.2f}", dials if tally is town.offered else ""]
        for name, tally in tallies.items()
    ]


def _believed(*_: object) -> bool:
    return True


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench_lookup churn", description=__doc__)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--sellers", type=int, default=30)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--half-lives", type=float, nargs="*", default=[1, 6], help="in hours")
    parser.add_argument("--crashing", type=float, nargs="*", default=[1.0, 0.0], help="share that leaves unannounced")
    parser.add_argument("--publish-while-growing", action="store_true", help="each seller as it comes, not at last")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    leave_signatures_out()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    protocol.handshake.verify = _believed  # type: ignore[assignment, attr-defined]
    print(heading("scripts/bench_lookup churn " + " ".join(sys.argv[1:])), flush=True)
    rows, began = list[list[str]](), time.process_time()
    for half_life_h in given.half_lives:
        for crashing in given.crashing:
            work = partial(measure, given=given, half_life_h=half_life_h, crashing=crashing)
            new = run(given.seed, work, Link(loss=0.02))
            rows += new
            print(new, flush=True)
    head = ["half-life", "crash", "what", "of live sellers", "share", "stale", "messages a second, a node", "dials"]
    print("\n" + table(head, rows))
    print(f"\n{time.process_time() - began:.0f} s of processor time")


if __name__ == "__main__":
    main()
