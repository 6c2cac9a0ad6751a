"""What bounds a block of one transaction: one process of the ledger's three phases without the ledger.

The same session code carries as many notices of the same sizes; every vote is signed, and checked by all who receive
it; each of the phases writes its record and syncs it in a thread before anybody is told. There are no rules, no state,
no pool and no database. Takes the orders of bench/ledger_member.py: under load, it leads one round after the other.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog

from crypto.identity import verify
from node.collector import spare_collector
from node.env import Env
from node.ledger.pbft.quorum import quorum
from node.net.config import NetConfig
from node.net.endpoint import Endpoint, parse_endpoint
from node.net.errors import DialError
from node.net.peers import Peers
from node.net.session import Call
from node.net.websocket import WebSocketTransport
from protocol.messages import LedgerBatch, Message, Ok
from scripts.bench.ledger_member import NETWORK, member, orders, say

PROPOSAL_BYTES, VOTE_BYTES = 1100, 330
"""Of a proposal with one promise, and of a PREPARE or COMMIT, as packed; their log records are as long."""
SIGNATURE_BYTES = 64
PROPOSE, PREPARE, COMMIT = range(3)
LABEL = b"bench"


class Floor:
    """One member. A message is phase, leader, round, filler, and the sender's signature over all that."""

    def __init__(self, number: int, count: int, log: Path, *, durable: bool) -> None:
        self._number = number
        self._identity = member(number)
        self._quorum = quorum(count)
        self._file = os.open(log, os.O_WRONLY | os.O_CREAT, 0o600)
        self._durable = durable
        self._disk = ThreadPoolExecutor(1)
        self._votes: dict[tuple[int, bytes], set[bytes]] = {}
        self._done: dict[bytes, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._rounds = 0
        self.peers: Peers | None = None

    async def lead(self) -> None:
        """One round, to its q COMMITs here."""
        self._rounds += 1
        name = bytes([self._number]) + self._rounds.to_bytes(8, "big")
        self._done[name] = asyncio.get_running_loop().create_future()
        await self._vote(PROPOSE, name)
        await self._done[name]
        del self._done[name]

    def heard(self, peer: bytes, batch: LedgerBatch) -> None:
        """Check what came, and go on where there is a quorum."""
        for message in batch.messages:
            body, signature = message[:-SIGNATURE_BYTES], message[-SIGNATURE_BYTES:]
            assert verify(peer, LABEL, body, signature)
            phase, name = body[0], body[1:10]
            if phase == PROPOSE:
                self._count(PREPARE, name, peer)
                self._later(PREPARE, name)
            else:
                self._count(phase, name, peer)

    def _count(self, phase: int, name: bytes, voter: bytes) -> None:
        voters = self._votes.setdefault((phase, name), set())
        before = len(voters)
        voters.add(voter)
        if len(voters) != self._quorum or before == self._quorum:
            return
        if phase == PREPARE:
            self._later(COMMIT, name)
        elif name in self._done:
            self._done[name].set_result(None)

    def _later(self, phase: int, name: bytes) -> None:
        task = asyncio.get_running_loop().create_task(self._vote(phase, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _vote(self, phase: int, name: bytes) -> None:
        """Write down, then tell."""
        size = PROPOSAL_BYTES if phase == PROPOSE else VOTE_BYTES
        body = bytes([phase]) + name + bytes(size - 10 - SIGNATURE_BYTES)
        await asyncio.get_running_loop().run_in_executor(self._disk, self._write, body)
        message = body + self._identity.sign(LABEL, body)
        assert self.peers is not None
        for session in self.peers.open_sessions():
            session.tell(LedgerBatch(chain=bytes(32), messages=(message,)))
        self._count(PREPARE if phase == PROPOSE else phase, name, self._identity.public_key)

    def _write(self, record: bytes) -> None:
        os.write(self._file, record)
        if self._durable:
            os.fsync(self._file)


async def serve(number: int, home: Path, durable: bool, places: Sequence[Endpoint]) -> None:
    """Take part until the standard input ends."""
    floor = Floor(number, len(places), home / "log", durable=durable)
    net = NetConfig()

    async def handle(call: Call) -> Message:
        return Ok()

    peers = Peers(member(number), NETWORK, WebSocketTransport(net.max_message_bytes), handle, Env().entropy, net)
    peers.on_notice = floor.heard
    floor.peers = peers
    await peers.start([places[number]])
    for at in range(number):  # one session for each pair
        await _session(peers, at, places[at])
    while len(peers.open_sessions()) < len(places) - 1:
        await asyncio.sleep(0.01)
    spare_collector()
    say({"ready": True})
    async for order in orders():
        say(await obey(order, floor))
    await peers.stop()


async def _session(peers: Peers, at: int, where: Endpoint) -> None:
    while True:
        try:
            await peers.session(member(at).public_key, where)
            return
        except DialError:
            await asyncio.sleep(0.05)


async def obey(order: dict[str, Any], floor: Floor) -> dict[str, Any]:
    """As a member does; only one at a time is in flight here."""
    match order["do"]:
        case "cpu":
            return {"cpu_s": time.process_time()}
        case "sign":
            return {}
        case _:
            began, latencies = time.perf_counter(), list[float]()
            while (started := time.perf_counter()) - began < order["seconds"]:
                await floor.lead()
                latencies.append(time.perf_counter() - started)
            return {"latencies_s": latencies, "took_s": time.perf_counter() - began, "blocks": len(latencies)}


def main() -> None:
    """Arguments: number, home, FULL or NORMAL, and every member's host:port."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    number, home, synchronous, *places = sys.argv[1:]
    asyncio.run(serve(int(number), Path(home), synchronous == "FULL", [parse_endpoint(place) for place in places]))


if __name__ == "__main__":
    main()
