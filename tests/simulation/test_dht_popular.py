"""A key with more publishers than its holders keep: the others are found by whoever is near them."""

import asyncio

from coalesced.sim.loop import SimLoop, run
from dht.config import DhtConfig
from dht.ids import skill_key
from tests.harness.dhtworld import NETWORK, world_of

KEY = skill_key(NETWORK, "popular")


def test_publishers_without_room_under_a_popular_key_are_found_in_its_shards_and_withdraw_from_there() -> None:
    async def main(loop: SimLoop) -> None:
        world = await world_of(loop, 1, 30, DhtConfig(max_records_per_key=6))
        for number in range(20):
            await world.nodes[number].publish(KEY, b"%d" % number)
        await asyncio.sleep(10)
        assert all(world.nodes[number].holders(KEY) for number in range(20))
        found = await asyncio.gather(*(world.find(number, KEY) for number in range(30)))
        assert {body for bodies in found for body in bodies} == {b"%d" % number for number in range(20)}
        await world.nodes[19].publish(KEY, b"new")
        await world.nodes[18].withdraw(KEY)
        assert world.nodes[18].holders(KEY) == 0
        found = await asyncio.gather(*(world.find(number, KEY) for number in range(30)))
        everything = {body for bodies in found for body in bodies}
        assert b"new" in everything
        assert not everything & {b"18", b"19"}

    run(1, main)
