"""The threats to a market, each played out in virtual time or over seeded draws, with the figure that counts."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from coalesced.sim import node as sim_node
from coalesced.sim import profile
from coalesced.sim.frames import SimStream
from coalesced.sim.loop import SimLoop, owner, run
from coalesced.sim.node import SimNode
from coalesced.sim.profile import config_of
from coalesced.sim.world import Plan, World
from crypto.identity import did_key
from node.daemon import Parts
from node.examination.canaries import is_followed
from node.examination.sequential import SequentialTest
from node.execute.inline import BuiltinWork
from node.net.errors import NetError
from node.outsource.config import ClientConfig
from node.outsource.contractor.contractor import Contractor
from node.owner.examiner import Examiner
from node.store.database import Database
from node.store.migrations import NODE
from node.store.spending import DAY_MS, Caps, Reservation, Spending
from node.store.tasks import TaskRow
from node.views import AskRequest, InputFile, LeakRequest
from protocol.messages import Result
from protocol.specification import Effort

SECRET = b"The merger closes on Friday, and it is a wonderful one."


def in_world(nodes: int, main: Callable[[World], Awaitable[None]]) -> None:
    """Grow a world without asks and faults, then do `main` in it."""

    async def living(loop: SimLoop) -> None:
        world = World(loop, Plan(seed=1, nodes=nodes, minutes=0.0, faults=()))
        await world.grow()
        await main(world)

    run(1, living)


def parts_of(node: SimNode) -> Parts:
    assert node.parts is not None
    return node.parts


def sellers_of(world: World, skill: str) -> list[SimNode]:
    return [node for node in world.nodes[:-1] if parts_of(node).shop.sells(skill) and not node.profile.fabricates]


async def asked(node: SimNode, seller: SimNode, text: bytes, **fields: Any) -> TaskRow:
    """A task for that seller alone, to its end."""
    life, parts = node.life, parts_of(node)
    assert life is not None
    file = InputFile(name="input", media_type="text/plain", data=text)
    wish = {"privacy": "public", "only": did_key(seller.profile.identity.public_key), **fields}
    task_id = await life.start_soon(parts.client.submit(AskRequest(skill="sentiment", files=(file,), **wish)))
    while not (row := await parts.store.tasks.get(task_id)).finished_unix_ms:  # noqa: ASYNC110
        await asyncio.sleep(1)
    return row


# --- man in the middle, prompt leeching


def test_who_taps_every_line_reads_neither_a_task_nor_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    put = SimStream._put

    def tapped_put(self: SimStream, frame: bytes | None) -> None:
        sent.append(frame or b"")
        put(self, frame)

    monkeypatch.setattr(SimStream, "_put", tapped_put)

    async def main(world: World) -> None:
        seller, buyer = (parts_of(node) for node in world.nodes)  # the first of a world sells, and is honest
        row = await asked(world.nodes[1], world.nodes[0], SECRET)
        assert (row.state, row.peer) == ("completed", seller.identity.public_key)
        result = (await buyer.client.result(row.task_id)).data
        tapped = b"".join(sent)
        assert len(tapped) > 4_000
        for private in (SECRET, SECRET[:12], result, buyer.identity.public_key):
            assert private not in tapped

    in_world(2, main)


def test_every_frame_that_somebody_between_them_changes_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    put, rng, changed = SimStream._put, random.Random(3), list[int]()
    is_on = [False]

    def altered(self: SimStream, frame: bytes | None) -> None:
        if is_on[0] and frame:
            at, is_on[0] = rng.randrange(8 * len(frame)), False
            frame = frame[: at // 8] + bytes([frame[at // 8] ^ 1 << at % 8]) + frame[at // 8 + 1 :]
            changed.append(at)
        put(self, frame)

    monkeypatch.setattr(SimStream, "_put", altered)
    ended = 0

    async def main(world: World) -> None:
        nonlocal ended
        buyer, seller = (parts_of(node) for node in world.nodes)
        life, endpoint = world.nodes[0].life, world.nodes[1].profile.endpoint
        assert life is not None
        for _ in range(40):
            session = await life.start_soon(buyer.peers.session(seller.identity.public_key, endpoint))
            await asyncio.sleep(1)
            is_on[0] = True
            with pytest.raises((NetError, TimeoutError)):
                await life.start_soon(session.probe(60.0))
            await asyncio.sleep(1)
            ended += not session.is_open
            for parts, other in ((buyer, seller), (seller, buyer)):
                parts.peers.unblock(other.identity.public_key)  # As ten minutes do.

    in_world(2, main)
    assert (len(changed), ended) == (40, 40)


async def nobody_named() -> set[bytes]:
    return set()


@pytest.fixture
def private_buyers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that plant honeytokens."""
    client = ClientConfig(default_deadline_s=60.0, honeytokens=True)
    monkeypatch.setattr(
        sim_node, "config_of", lambda profile: msgspec.structs.replace(config_of(profile), client=client)
    )


@pytest.mark.usefixtures("private_buyers")
def test_a_gate_keeps_a_text_from_every_seller_and_whoever_leaks_one_that_it_was_sent_is_named_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, run_as_it_is = list[tuple[str, str]](), BuiltinWork.run

    def reading(self: BuiltinWork, label: str, data: bytes, media_type: str, effort: Effort) -> bytes:
        read.append((owner.get().partition("/")[0], data.decode(errors="replace")))
        return run_as_it_is(self, label, data, media_type, effort)

    monkeypatch.setattr(BuiltinWork, "run", reading)

    async def main(world: World) -> None:
        sellers, buyer = sellers_of(world, "sentiment"), parts_of(world.nodes[-1])
        assert len(sellers) == 2
        for seller in sellers * 3:
            assert (await asked(world.nodes[-1], seller, b"Kept here.", proofs=("attestation",))).peer is None
            assert await parts_of(seller).store.journal.tail(1) == []
        examiner, named = Examiner(buyer, nobody_named), 0
        for number in range(6):
            seller = sellers[number % 2]
            row = await asked(
                world.nodes[-1], seller, f"Secret {number} is a good one.".encode(), privacy="confidential"
            )
            assert row.state == "completed", row
            leaked = [text for who, text in read if who == str(seller.profile.number) and f"Secret {number} " in text]
            leak = await examiner.report_leak(LeakRequest(text=leaked[0].splitlines()[-1]))
            named += leak.dids == (did_key(seller.profile.identity.public_key),)
        assert named == 6

    in_world(4, main)


# --- skill spoofing


def test_an_agent_that_is_right_in_60_and_claims_80_of_100_passes_in_at_most_one_of_twenty_tests() -> None:
    rng, plan, passed, runs = random.Random(11), SequentialTest(claimed=0.8, too_low=0.6), 0, 20_000
    for _ in range(runs):
        good = asked = 0
        while (verdict := plan.verdict(good, asked - good)) == "open":
            asked += 1
            good += rng.random() < 0.6
        passed += verdict == "stands"
    assert passed / runs <= 0.05


# --- result fabrication


def test_who_fabricates_three_of_ten_results_is_caught_within_110_orders_at_one_canary_in_ten() -> None:
    rng, caught, sellers = random.Random(12), 0, 2_000
    for seller in range(sellers):
        key = seller.to_bytes(8, "big")
        caught += any(is_followed(key, rng.randbytes(16), 0.1) and rng.random() < 0.3 for _ in range(110))
    assert caught / sellers >= 0.95


def test_who_hands_over_an_earlier_result_is_paid_nothing_for_it_and_reported_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deliver, made = Contractor._deliver, list[Result]()

    async def the_first_again(self: Contractor, *job: Any) -> Result:
        made.append(await deliver(self, *job))
        return made[0]

    monkeypatch.setattr(Contractor, "_deliver", the_first_again)

    async def main(world: World) -> None:
        seller, buyer = world.nodes
        # The second is the same text: even a right answer counts for its own task alone.
        texts = (SECRET, SECRET, *(b"It is worth %d." % number for number in range(4)))
        rows = [await asked(buyer, seller, text) for text in texts]
        assert [row.state for row in rows] == ["completed"] + 5 * ["failed"]
        store = parts_of(buyer).store
        kinds = [entry.kind for entry in await store.journal.tail(100)]
        assert (kinds.count("award"), kinds.count("fault"), kinds.count("receipt")) == (6, 5, 1), kinds
        assert await store.spending.day_used_micro(buyer.unix_ms()) == rows[0].paid_micro > 0
        assert len(made) == 6

    in_world(2, main)


# --- exploration abuse


def test_whatever_so_many_sybils_take_is_within_the_owners_caps_for_each_and_for_a_day() -> None:
    caps, sybils, price = Caps(day_micro=1_000_000, peer_micro=250_000), 300, 40_000

    async def main() -> None:
        database = await Database.open(None, NODE)
        spending, rng, lost = Spending(database, caps), random.Random(13), dict[int, int]()
        by_peer = dict[bytes, int]()
        for number in range(900):
            day, peer = number // 300, rng.randrange(sybils).to_bytes(32, "big")
            task_id = number.to_bytes(16, "big")
            # Each is a stranger, cheap, paid unchecked, and never does anything.
            made = await spending.reserve(task_id, peer, price, (day + 1) * DAY_MS, unverified_micro=price)
            if isinstance(made, Reservation):
                await spending.settle(task_id, peer, price)
                lost[day] = lost.get(day, 0) + price
                by_peer[peer] = by_peer.get(peer, 0) + price
        assert lost == dict.fromkeys(range(3), caps.day_micro), "all of a day's cap, and no more"
        assert max(by_peer.values()) <= caps.peer_micro
        await database.close()

    asyncio.run(main())


def test_sybils_of_one_subnet_take_together_what_one_stranger_may_in_a_week() -> None:
    caps, price = Caps(day_micro=1_000_000, peer_micro=250_000, subnet_micro=250_000), 40_000

    async def main() -> None:
        database = await Database.open(None, NODE)
        spending, rng, lost = Spending(database, caps), random.Random(14), dict[str, int]()
        for number in range(1_000):
            # 300 Sybils in three subnets: each is a stranger, cheap, paid unchecked, and never does anything.
            sybil, task_id = rng.randrange(300), number.to_bytes(16, "big")
            peer, subnet, day = sybil.to_bytes(32, "big"), f"8.8.{sybil % 3}.0/24", 1 + number * 7 // 1_000
            made = await spending.reserve(
                task_id, peer, price // 2, day * DAY_MS, unverified_micro=price // 2, subnet=subnet
            )
            if isinstance(made, Reservation):
                await spending.settle(task_id, peer, price // 2)
                lost[subnet] = lost.get(subnet, 0) + price // 2
        assert len(lost) == 3
        assert all(0 < micro <= caps.subnet_micro for micro in lost.values())
        await database.close()

    asyncio.run(main())


def test_a_stranger_is_asked_no_more_of_once_others_of_its_subnet_hold_all_that_they_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(profile, "host_of", lambda number: f"8.8.4.{number + 1}")

    async def main(world: World) -> None:
        seller, buyer = (parts_of(node) for node in world.nodes)
        life = world.nodes[1].life
        assert life is not None
        now, spending = world.nodes[1].unix_ms(), buyer.store.spending
        monkeypatch.setattr(spending, "caps", Caps(subnet_micro=1_000))
        file = InputFile(name="input", media_type="text/plain", data=SECRET)
        request = AskRequest(skill="sentiment", files=(file,), privacy="public")
        notes = []
        for number, subnet in enumerate(("8.8.8.0/24", "8.8.4.0/24")):
            await spending.reserve(bytes([number]) * 16, bytes(32), 1_000, now, subnet=subnet)
            view = await life.start_soon(buyer.client.decide(request))
            notes += [row.note for row in view.options if row.did == did_key(seller.identity.public_key)]
        assert "subnet" not in notes[0]
        assert "the cap on what is outstanding with unproven sellers of its subnet leaves $0.00" in notes[1]

    in_world(2, main)


# --- bait and switch


def test_who_bills_more_than_it_quoted_is_paid_nothing_and_reported_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    check = Contractor._check_award

    def dearer(self: Contractor, client: bytes, award: Any) -> Any:
        quote, specification = check(self, client, award)
        return msgspec.structs.replace(quote, price_micro=2 * quote.price_micro + 1), specification

    monkeypatch.setattr(Contractor, "_check_award", dearer)

    async def main(world: World) -> None:
        seller, buyer = world.nodes
        rows = [await asked(buyer, seller, SECRET) for _ in range(5)]
        store = parts_of(buyer).store
        kinds = [entry.kind for entry in await store.journal.tail(100)]
        assert (kinds.count("award"), kinds.count("fault"), kinds.count("receipt")) == (5, 5, 0), kinds
        assert {row.state for row in rows} == {"failed"}
        assert await store.spending.day_used_micro(buyer.unix_ms()) == 0

    in_world(2, main)
