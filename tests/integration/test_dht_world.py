"""Whole DHT nodes in virtual time, on a seeded network that loses, delays, forges and garbles."""

import asyncio
import itertools
import random

import pytest

from coalesced.sim.loop import SimDeadlock, SimLoop, run
from coalesced.sim.network import Link
from dht.config import DhtConfig
from dht.contacts import UNKNOWN_ID, ContactJoined, ContactLeft
from dht.datagram import MAX_AMPLIFICATION, NO_TOKEN, FindNode, FindValue, Ping, Request, Store, encode
from dht.ids import distance, network_tag, skill_key
from dht.records import sign_record
from tests.harness.dhtworld import NETWORK, Liar, RawPeer, Sink, World, address, forged, identity, percentile, world_of

KEY = skill_key(NETWORK, "risk")
LOSSY = Link(loss=0.02)
HOUR_S = 3600.0
RENEWED_S = 1_800 + 10
"""By then everything published was renewed at least once."""


def test_look_ups_give_the_true_closest_living_nodes() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 1, 36)
        rng = random.Random(1)
        for _ in range(20):
            key, asker = rng.randbytes(20), rng.randrange(36)
            others = [identity(1, number).node_id for number in world.nodes if number != asker]
            expected = sorted(others, key=lambda node_id: distance(node_id, key))[:20]
            assert [node.id for node in await world.nodes[asker].closest(key)] == expected

    run(1, main)


def test_an_idle_network_is_silent() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 2, 25)
        for number in range(10):
            await world.nodes[number].publish(skill_key(NETWORK, f"skill-{number}"), b"x")
        await asyncio.sleep(60)
        before = loop.network.sent
        await asyncio.sleep(900)
        assert loop.network.sent - before == 0

    run(2, main, LOSSY)


def test_with_two_percent_loss_and_forty_percent_dead_everything_is_found_within_a_second() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 3, 40)
        rng = random.Random(3)
        keys = [skill_key(NETWORK, f"skill-{number}") for number in range(20)]
        for number, key in enumerate(keys):
            assert await world.nodes[number].publish(key, b"%d" % number) == 20
        for number in rng.sample(range(40), 16):
            world.kill(number)
        waits_s: list[float] = []
        for _ in range(80):
            wanted, asker = rng.randrange(20), rng.choice(world.living())
            start_s = loop.time()
            assert await world.find(asker, keys[wanted]) == [b"%d" % wanted]
            waits_s.append(loop.time() - start_s)
        assert percentile(waits_s, 0.95) < 1.0

    run(3, main, LOSSY)


def test_a_thorough_look_up_ends_with_what_is_there_though_datagrams_are_lost_and_nodes_dead() -> None:
    """Who had not answered when the region came into view was once waited for until the time was up."""

    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 4, 36)
        await world.nodes[0].publish(KEY, b"x")
        for number in range(30, 36):
            world.kill(number)
        for asker in range(1, 30):
            start_s = loop.time()
            assert await world.find(asker, KEY, thorough=True) == [b"x"]
            assert loop.time() - start_s < 4

    run(4, main, Link(loss=0.05))


def test_what_is_not_there_is_not_found_and_the_search_ends() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 5, 25)
        for number in range(10):
            world.kill(number)
        assert await world.find(20, KEY) == []

    run(5, main, LOSSY)


def test_old_values_never_come_back() -> None:
    """Two of the holders miss the new value for 90 s; stock Kademlia had reverted everywhere after two hours."""

    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 6, 25)
        await world.nodes[0].publish(KEY, b"old")
        holders = [node.host for node in await world.nodes[0].closest(KEY)][:2]
        loop.network.unplugged.update(holders)
        await world.nodes[0].publish(KEY, b"new")
        await asyncio.sleep(90)
        loop.network.unplugged.clear()
        for _ in range(5):
            for number in range(0, 25, 5):
                assert await world.find(number, KEY, thorough=True) == [b"new"]
            await asyncio.sleep(HOUR_S / 2)

    run(6, main)


def test_a_withdrawn_record_is_gone_everywhere_and_a_new_one_can_follow() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 7, 25)
        await world.nodes[0].publish(KEY, b"first")
        await world.nodes[0].withdraw(KEY)
        for number in range(25):
            assert await world.find(number, KEY) == []
        await asyncio.sleep(2 * HOUR_S)
        assert await world.find(9, KEY) == []
        await world.nodes[0].publish(KEY, b"second")
        assert await world.find(9, KEY) == [b"second"]

    run(7, main, LOSSY)


def test_a_record_outlives_its_ttl_while_its_publisher_lives_and_not_otherwise() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 8, 22)
        await world.nodes[0].publish(KEY, b"x")
        for _ in range(2):
            await asyncio.sleep(HOUR_S)
            assert await world.find(9, KEY) == [b"x"]
        world.kill(0)
        await asyncio.sleep(HOUR_S)
        assert await world.find(9, KEY) == []

    run(8, main, LOSSY)


def test_most_republications_go_straight_to_the_holders() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 9, 22, DhtConfig(refresh_s=86_400))
        await world.nodes[0].publish(KEY, b"x")
        await asyncio.sleep(60)
        before, lookups = loop.network.sent, world.nodes[0].stats.lookups
        await asyncio.sleep(8000)  # Four to six rounds, of which the fourth looks up.
        assert world.nodes[0].stats.lookups - lookups == 1
        store_and_answer = 2 * 20
        assert loop.network.sent - before <= 6 * store_and_answer + 100

    run(9, main)


def test_a_record_reaches_the_nodes_that_join_later() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 10, 1)
        assert await world.nodes[0].publish(KEY, b"x") == 0
        await world.grow(6)
        await asyncio.sleep(10)
        world.kill(0)
        assert await world.find(6, KEY) == [b"x"]

    run(10, main)


def test_a_network_that_grows_threefold_after_a_publication_hides_nobody_beyond_one_renewal() -> None:
    """Only publishers place records: seekers near the key once met newcomers alone until the fourth renewal."""

    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 2, 20, DhtConfig(k=5))
        keys = [skill_key(NETWORK, f"skill-{number}") for number in range(10)]
        for number, key in enumerate(keys):
            assert await world.nodes[number].publish(key, b"%d" % number) >= 5
        await world.grow(40)
        await asyncio.sleep(RENEWED_S)
        for number, key in enumerate(keys):
            for asker in range(20, 60, 4):
                assert await world.find(asker, key) == [b"%d" % number]

    run(2, main)


def test_looking_anew_for_holders_asks_hardly_anyone_but_the_closest() -> None:
    """The way there, from the publisher's own contacts, once took a third of what a publication takes."""

    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 16, 101, DhtConfig(k=4, full_lookup_every=1))
        publisher, sent = world.nodes[0], list[int]()
        keys = [skill_key(NETWORK, f"skill-{number}") for number in range(12)]
        for _ in range(2):
            before = publisher.stats.sent
            for key in keys:
                assert await publisher.publish(key, b"x") == 4
            sent.append(publisher.stats.sent - before)
        fresh, anew = sent
        assert anew == 2 * 4 * len(keys)
        assert anew < 0.8 * fresh

    run(16, main)


def test_a_popular_key_is_read_whole_over_many_answers() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 11, 24)
        bodies = sorted(b"%02d" % number + bytes(300) for number in range(24))
        await asyncio.gather(*(world.nodes[number].publish(KEY, body) for number, body in enumerate(bodies)))
        ranked = sorted(range(24), key=lambda number: distance(identity(11, number).node_id, KEY))
        farthest = ranked[-1]  # Holds none of the records itself.
        assert await world.find(farthest, KEY, thorough=True) == bodies
        in_a_hurry = await world.nodes[farthest].find(KEY, timeout_s=0.1)
        assert 0 < len(in_a_hurry) < 24

    run(11, main, LOSSY)


def test_two_thousand_spoofed_requests_make_no_contact_and_little_traffic() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 12, 20)
        rng = random.Random(12)
        before, bytes_before = world.nodes[0].contacts(), world.nodes[0].stats.sent_bytes
        spoofed_bytes = 0
        for number in range(2000):
            body: Request = Ping() if number % 2 else FindNode(rng.randbytes(20))
            raw = forged(loop, rng, body, identity(12, 0).node_id)
            spoofed_bytes += len(raw)
            loop.network.carry(raw, (f"10.9.{number >> 8}.{number & 255}", 4000), address(0))
            await asyncio.sleep(0.01)
        await asyncio.sleep(10)
        assert {contact.id for contact in world.nodes[0].contacts()} == {contact.id for contact in before}
        assert world.nodes[0].stats.sent_bytes - bytes_before <= MAX_AMPLIFICATION * spoofed_bytes
        assert await world.nodes[3].publish(KEY, b"x") >= 19

    run(12, main)


def test_one_forged_request_never_makes_us_send_more_than_three_times_its_size() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 13, 24)
        for number in range(5):
            await world.nodes[number].publish(KEY, bytes(500))
        await asyncio.sleep(10)
        victim = Sink()
        await loop.create_datagram_endpoint(lambda: victim, ("10.9.9.9", 4000))
        bodies: list[Request] = [Ping(), FindNode(KEY), FindValue(KEY, bytes(20)), Store(NO_TOKEN, bytes(140))]
        for number, body in itertools.product(range(24), bodies):
            victim.bytes = 0
            raw = forged(loop, random.Random(number), body, identity(13, number).node_id)
            loop.network.carry(raw, ("10.9.9.9", 4000), address(number))
            await asyncio.sleep(5)
            assert 0 < victim.bytes <= MAX_AMPLIFICATION * len(raw)

    run(13, main)


def test_garbage_from_two_of_24_nodes_harms_no_look_up() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 14, 24)
        rng = random.Random(14)

        def garble(data: bytes) -> bytes:
            match rng.randrange(3):
                case 0:
                    return rng.randbytes(rng.randrange(1400))
                case 1:
                    return data[: rng.randrange(len(data))]
                case _:
                    at = rng.randrange(len(data))
                    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]

        for number in (5, 15):
            loop.network.tampering[address(number)[0]] = garble
        await world.nodes[0].publish(KEY, b"x")
        for number in range(24):
            if number not in (5, 15):
                assert await world.find(number, KEY) == [b"x"]
        dropped = sum(node.stats.dropped.total() for node in world.nodes.values())
        assert dropped > 0

    run(14, main)


def test_records_that_are_forged_expired_or_not_the_senders_are_refused() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 15, 3)
        holder, holder_id, now_ms = world.nodes[0], identity(15, 0).node_id, loop.unix_ms()
        thief, honest = identity(15, 9), identity(15, 1)
        good = sign_record(thief, KEY, 1, now_ms + 1000, b"x")
        cases = {
            "not_publisher": sign_record(honest, KEY, 1, now_ms + 1000, b"x").raw,
            "bad_signature": good.raw[:-1] + bytes([good.raw[-1] ^ 1]),
            "expired": sign_record(thief, KEY, 1, now_ms - 1, b"x").raw,
            "too_long_lived": sign_record(thief, KEY, 1, now_ms + 10 * 3_600_000, b"x").raw,
            "malformed": b"junk",
        }
        raw_peer = await RawPeer.bind(loop, thief, 99)
        token = (await raw_peer.ask(0, holder_id, FindNode(KEY))).token
        for code, record in cases.items():
            await raw_peer.ask(0, holder_id, Store(token, record))
            assert holder.stats.refused_records[code] == 1
        await raw_peer.ask(0, holder_id, Store(NO_TOKEN, good.raw))
        assert await world.find(0, KEY) == []
        await raw_peer.ask(0, holder_id, Store(token, good.raw))
        assert await world.find(0, KEY) == [b"x"]

    run(15, main)


def test_a_holder_cannot_pass_off_records_that_were_not_asked_for() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 24, 1)
        seller, soon_ms = identity(24, 7), loop.unix_ms() + 1_000_000
        good = sign_record(seller, KEY, 1, soon_ms, b"good")
        other_key = sign_record(identity(24, 8), skill_key("other", "risk"), 1, soon_ms, b"of another network")
        expired = sign_record(identity(24, 9), KEY, 1, loop.unix_ms() - 1, b"late")
        forged_one = good.raw[:70] + b"!" + good.raw[71:]
        liar = Liar(loop, identity(24, 1), (other_key.raw, expired.raw, forged_one, good.raw))
        await loop.create_datagram_endpoint(lambda: liar, address(1))
        world.nodes[0].add_bootstrap([address(1)])
        await asyncio.sleep(10)
        assert await world.find(0, KEY) == [b"good"]
        assert set(world.nodes[0].stats.refused_records) == {"wrong_key", "expired", "bad_signature"}

    run(24, main)


def test_requests_for_others_floods_and_reflections_are_dropped_unanswered() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 25, 1)
        node, rng = world.nodes[0], random.Random(25)
        own_id = identity(25, 0).node_id
        loop.network.carry(forged(loop, rng, FindNode(KEY), identity(25, 1).node_id), address(1), address(0))
        loop.network.carry(forged(loop, rng, FindNode(KEY), UNKNOWN_ID), address(1), address(0))
        own_ping = encode(identity(25, 0), network_tag(NETWORK), own_id, bytes(16), loop.unix_ms(), Ping())
        loop.network.carry(own_ping, address(1), address(0))
        await asyncio.sleep(1)
        assert node.stats.dropped == {"misdirected": 2, "unsolicited": 1}
        assert node.stats.sent == 0
        for number in range(500):
            raw = forged(loop, rng, Ping(), own_id)
            loop.network.carry(raw, (f"203.0.113.{number % 256}", 4000), address(0))
        await asyncio.sleep(1)
        assert node.stats.dropped["throttled"] >= 200

    run(25, main)


def test_a_withdrawal_and_a_new_publication_at_once_leave_the_new_one() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 26, 5)
        async with asyncio.TaskGroup() as group:
            group.create_task(world.nodes[0].publish(KEY, b"first"))
            await asyncio.sleep(0.01)
            group.create_task(world.nodes[0].withdraw(KEY))
            await asyncio.sleep(0)
            group.create_task(world.nodes[0].publish(KEY, b"second"))
        for number in range(5):
            assert await world.find(number, KEY, thorough=True) == [b"second"]

    run(26, main)


def test_a_replayed_answer_and_an_answer_by_another_key_are_dropped() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 16, 2)
        node = world.nodes[0]
        caught: list[bytes] = []

        def record(data: bytes) -> bytes:
            caught.append(data)
            return data

        loop.network.tampering[address(1)[0]] = record
        await node.closest(KEY)
        loop.network.carry(caught[-1], address(1), address(0))
        await asyncio.sleep(1)
        assert node.stats.dropped["unsolicited"] == 1
        before = node.stats.dropped.total()
        loop.network.tampering[address(1)[0]] = lambda data: data[:32] + identity(16, 5).public_key + data[64:]
        await node.closest(KEY)
        assert node.stats.dropped["spoofed"] > 0
        assert node.stats.dropped.total() > before

    run(16, main)


def test_a_lone_node_is_healthy_and_joins_when_its_bootstrap_appears() -> None:
    async def main(loop: SimLoop) -> None:
        world = World(loop, 17)
        loop.names["seed.example"] = [address(1)[0]]
        late, seed = world.make(0), world.make(1)
        late.add_bootstrap([("seed.example", address(1)[1]), ("unknown.example", 4000)])
        await late.start([address(0)])
        await asyncio.sleep(600)
        assert late.contacts() == []
        assert await late.find(KEY, timeout_s=1) == []
        sent = late.stats.sent
        assert sent <= 3 * 15, "knocking backs off to about once a minute"
        await seed.start([address(1)])
        await asyncio.sleep(75)
        assert [contact.host for contact in late.contacts()] == [address(1)[0]]

    run(17, main)


def test_a_node_that_restarts_with_its_key_and_port_is_readmitted_at_once() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 18, 6)
        await world.nodes[3].stop()
        world.make(3).add_bootstrap([address(0)])
        await world.nodes[3].start([address(3)])
        await asyncio.sleep(2)
        assert len(world.nodes[3].contacts()) == 5
        await world.nodes[3].publish(KEY, b"back")
        for number in range(6):
            assert identity(18, 3).node_id in {contact.id for contact in world.nodes[number].contacts()} or number == 3
            assert await world.find(number, KEY) == [b"back"]

    run(18, main)


def test_a_restarted_publisher_with_a_slower_clock_still_wins() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 19, 6)
        await world.nodes[3].publish(KEY, b"first")
        world.kill(3)
        await asyncio.sleep(1)
        loop.network.unplugged.clear()
        loop.network.free(address(3))
        loop.clock_offset_ms = -60_000
        world.make(3).add_bootstrap([address(0)])
        await world.nodes[3].start([address(3)])
        await asyncio.sleep(2)
        await world.nodes[3].publish(KEY, b"second")
        assert await world.find(0, KEY, thorough=True) == [b"second"]

    run(19, main)


def test_contacts_come_and_go_as_events() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 20, 3)
        joined = [(number, event.contact.id) for number, event in world.events if isinstance(event, ContactJoined)]
        assert len(joined) == len(set(joined)) == 6
        world.kill(2)
        await world.nodes[0].closest(KEY)
        await asyncio.sleep(10)
        left = [(number, event.contact.id) for number, event in world.events if isinstance(event, ContactLeft)]
        assert left == [(0, identity(20, 2).node_id)]
        assert [contact.id for contact in world.nodes[0].contacts()] == [identity(20, 1).node_id]

    run(20, main)


def test_a_node_whose_clock_is_ten_minutes_off_is_refused_and_counted() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 21, 1)
        raw = encode(identity(21, 5), network_tag(NETWORK), UNKNOWN_ID, bytes(16), loop.unix_ms() - 600_000, Ping())
        loop.network.carry(raw, address(5), address(0))
        await asyncio.sleep(1)
        assert world.nodes[0].stats.dropped["stale"] == 1
        assert world.nodes[0].stats.sent == 0

    run(21, main)


def test_equal_seeds_give_equal_runs_and_others_do_not() -> None:
    async def main(loop: SimLoop) -> str:
        world = await world_of(loop, loop.seed, 8)
        await world.nodes[0].publish(KEY, b"x")
        world.kill(4)
        assert await world.find(7, KEY) == [b"x"]
        await world.nodes[5].stop()
        return loop.network.trace_hash()

    first = run(22, main, LOSSY)
    assert run(22, main, LOSSY) == first
    assert run(23, main, LOSSY) != first


def test_a_run_that_can_never_end_says_so_instead_of_hanging() -> None:
    async def main(loop: SimLoop) -> None:
        await loop.create_future()

    with pytest.raises(SimDeadlock, match="nothing is scheduled"):
        run(1, main)
