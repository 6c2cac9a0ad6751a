"""One member of the benchmark's chain as a process: sessions, core and ledger.db as in a node, and a load of its own.

Reads orders from its standard input, a JSON object a line, and answers each with one. Nothing of the control API is in
the way: what is measured is the chain.
"""

import asyncio
import contextlib
import cProfile
import json
import logging
import os
import sys
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import structlog

from crypto.hashing import tagged_hash
from crypto.identity import Identity, did_key
from dht.config import DhtConfig
from dht.service import KademliaDiscovery
from node.collector import spare_collector
from node.community.community import Community
from node.community.config import LedgerConfig
from node.env import Env
from node.ledger.pbft.config import PbftConfig
from node.net.config import NetConfig
from node.net.endpoint import Endpoint, parse_endpoint
from node.net.peers import Peers
from node.net.session import Call
from node.net.websocket import WebSocketTransport
from node.store.database import Database
from node.store.journal_store import Journal
from node.store.ledger_store import LedgerStore
from node.store.migrations import LEDGER
from node.store.vote_mark import NAME, VoteMark
from protocol.messages import LedgerBatch, Message
from protocol.receipts import DAY_MS
from protocol.signed import AcceptanceTerms, RatingTerms, sign
from protocol.transactions import CommitRating, RevealRating, rating_commitment, sign_transaction

NETWORK = "bench"
AUTHORS = 16
"""Accounts of each member that write in turn: one has 64 sequence numbers on their way at most."""
SALT = bytes(16)
TIMEOUT_S = 60.0


def member(number: int) -> Identity:
    """The key of a member."""
    return Identity(tagged_hash(b"bench-member", bytes([number])))


def author(number: int, of: int) -> Identity:
    """A key with an account, of one member's load."""
    return Identity(tagged_hash(b"bench-author", bytes([of, number])))


class Load:
    """Transactions of this member's authors, signed before the clock runs."""

    def __init__(self, number: int, chain: bytes) -> None:
        self._authors = [author(at, number) for at in range(AUTHORS)]
        self._chain = chain
        self._sequence = 0
        self._made = 0
        self._promised: list[tuple[bytes, bytes]] = []
        self.ready: list[bytes] = []

    def promises(self, count: int, *, to_show: bool) -> list[bytes]:
        """`commit-rating`s: one signature each. `to_show`: of ratings that `ratings` gives later."""
        return [self._promise(to_show=to_show) for _ in range(count)]

    def ratings(self, count: int) -> list[bytes]:
        """`reveal-rating`s of what was promised: two signatures each, the client's and the contractor's."""
        taken, self._promised = self._promised[:count], self._promised[count:]
        return [
            sign_transaction(RevealRating(chain=self._chain, rating=body, rating_signature=signature, salt=SALT))
            for body, signature in taken
        ]

    def _promise(self, *, to_show: bool) -> bytes:
        at = self._made % AUTHORS
        self._sequence += at == 0
        self._made += 1
        client, contractor = self._authors[at], self._authors[(at + 1) % AUTHORS]
        commitment = os.urandom(32)
        if to_show:
            body, signature = self._rating(client, contractor)
            self._promised.append((body, signature))
            commitment = rating_commitment(SALT, body)
        terms = CommitRating(
            chain=self._chain, signer=client.public_key, sequence=self._sequence, commitment=commitment
        )
        return sign_transaction(terms, client)

    def _rating(self, client: Identity, contractor: Identity) -> tuple[bytes, bytes]:
        acceptance, accepted = sign(
            contractor,
            AcceptanceTerms(
                commitment=os.urandom(32),
                network=NETWORK,
                client=client.public_key,
                contractor=contractor.public_key,
                skill="bench.echo",
                price_bucket=3,
                day=time.time_ns() // 10**6 // DAY_MS,
            ),
        )
        terms = RatingTerms(
            acceptance=acceptance,
            acceptance_signature=accepted,
            receipt_commitment=os.urandom(32),
            deadline_met=True,
            outcome="ok",
            score=90,
            explored=False,
            sequence=self._made,
        )
        return sign(client, terms)


async def submit_all(community: Community, txs: list[bytes], in_flight: int, seconds: float) -> dict[str, Any]:
    """Submit for so long, so many at a time; what was committed, and when."""
    ready, latencies, ends, last_s = iter(txs), list[float](), list[float](), 0.0
    began = time.perf_counter()
    height = community.following.state.chain.height

    async def submit() -> None:
        nonlocal last_s
        for tx in ready:
            started = time.perf_counter()
            if started - began > seconds:
                return
            last_s = started - began
            await community.submit(tx, timeout_s=TIMEOUT_S)
            ended = time.perf_counter()
            latencies.append(ended - started)
            ends.append(ended - began)

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(submit())
    return {
        "latencies_s": latencies,
        "rate": steady_rate(ends, last_s),
        "took_s": time.perf_counter() - began,
        "blocks": community.following.state.chain.height - height,
    }


def steady_rate(ends: list[float], until: float) -> float:
    """Commits a second from about a quarter of the time on, while as many as ever are in flight: from the last of one
    block to the last of another. At the beginning blocks are small, and at the end nothing more comes."""
    first, last = bisect_right(ends, until / 4) - 1, bisect_right(ends, until) - 1
    if first < 0 or ends[last] <= ends[first]:
        return len(ends) / ends[-1] if ends else 0.0
    return (last - first) / (ends[last] - ends[first])


async def serve(number: int, home: Path, listen: Endpoint, others: dict[int, str], synchronous: str) -> None:
    """Be a member until the standard input ends."""
    identity, env = member(number), Env()
    async with AsyncExitStack() as stack:
        file = home / "ledger.db"
        database = await Database.open(file, LEDGER, durable=synchronous == "FULL")
        store = LedgerStore(database, str(file), VoteMark(home / NAME))
        stack.push_async_callback(store.close)
        journal = await Journal.open(None, identity)
        stack.push_async_callback(journal.close)
        net = NetConfig()
        community: Community

        async def handle(call: Call) -> Message:
            assert isinstance(call.body, LedgerBatch)
            return community.take(call.peer_key, call.body)

        peers = Peers(identity, NETWORK, WebSocketTransport(net.max_message_bytes), handle, env.entropy, net)
        await peers.start([listen])
        stack.push_async_callback(peers.stop)
        discovery = KademliaDiscovery(
            identity, NETWORK, DhtConfig(), unix_ms=env.unix_ms, rng=env.rng, entropy=env.entropy
        )
        await discovery.start([(listen.host, listen.port)])
        stack.push_async_callback(discovery.stop)
        endpoints = tuple(f"{did_key(member(at).public_key)}@{where}" for at, where in others.items())
        community = Community(
            identity=identity,
            network=NETWORK,
            env=env,
            store=store,
            peers=peers,
            discovery=discovery,
            advertised=listen,
            bootstrap=(),
            journal=journal,
            config=LedgerConfig(
                genesis=str(home.parent / "genesis.json"),
                endpoints=endpoints,
                agreement=PbftConfig(view_timeout_ms=20_000, resend_ms=5_000),
            ),
        )
        await community.open()
        running = asyncio.create_task(community.run())
        while (standing := community.standing) is None or standing.facts is None:
            await asyncio.sleep(0.01)
        load = Load(number, standing.chain)
        spare_collector()
        say({"ready": True})
        async for order in orders():
            say(await obey(order, community, load, home))
        running.cancel()
        await asyncio.wait([running])


async def obey(order: dict[str, Any], community: Community, load: Load, home: Path) -> dict[str, Any]:
    """Carry out one order."""
    match order["do"]:
        case "height":
            return {"height": community.following.state.chain.height}
        case "cpu":
            return {"cpu_s": time.process_time()}
        case "sign":
            load.ready = make(load, order)
            return {}
        case "load":
            with profiled(home / "profile" if order.get("profile") else None):
                return await submit_all(community, load.ready, order["in_flight"], order["seconds"])
        case other:
            raise ValueError(f"no order {other!r}")


def make(load: Load, order: dict[str, Any]) -> list[bytes]:
    """The transactions of a load."""
    if order["kind"] == "ratings":
        return load.ratings(order["count"])
    return load.promises(order["count"], to_show=order["kind"] == "promises to show")


@contextlib.contextmanager
def profiled(file: Path | None) -> Iterator[None]:
    """Write a profile of the event loop's thread, if wanted."""
    if file is None:
        yield
        return
    profile = cProfile.Profile(time.thread_time)
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(file)


async def orders() -> AsyncIterator[dict[str, Any]]:
    """What the driver wants, until it is gone."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


def say(answer: dict[str, Any]) -> None:
    """One line for the driver."""
    print(json.dumps(answer), flush=True)


def main() -> None:
    """Arguments: number, home, FULL or NORMAL, and every member's host:port."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    number, home, synchronous, *places = sys.argv[1:]
    listen = parse_endpoint(places[int(number)])
    others = {at: where for at, where in enumerate(places) if at != int(number)}
    asyncio.run(serve(int(number), Path(home), listen, others, synchronous))


if __name__ == "__main__":
    main()
