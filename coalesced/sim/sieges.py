"""Attacks on discovery, each a whole run from one seed: what is found of what honest nodes published."""

import asyncio
import random

from coalesced.sim.dhtfield import NETWORK, Conduct, Field, Spammer, ground_identities, hostile_address, identities
from coalesced.sim.loop import SimLoop, run
from dht.config import DhtConfig
from dht.ids import ID_BITS, ID_BYTES, skill_key
from dht.region import QUARTER_BITS, QUARTERS

TRIES_A_SYBIL = 100
"""Keys tried for each one that is used: it then stands nearer to its target than 99 in 100 nodes would."""
SPAM_BRANCHES = 20
"""First bytes of addresses (/8s) that a flood comes from."""
HONEST_ADVERTS = 50
ASKERS = 10

Outcome = tuple[int, int]
"""Look-ups that found the seller, and look-ups made."""


def eclipse(seed: int, nodes: int, sybils: int, *, conduct: Conduct = "polite", is_spread: bool = False) -> Outcome:
    """So many sybils are in, each in a /24 of its own, before a skill's seller publishes; then clients look for it.

    Their keys are closer to the skill than nearly every honest node's; or, spread, to the middles of the four quarters
    of its region. Look-ups are those before money is committed, with as much time as a buyer has.
    """

    async def main(loop: SimLoop) -> Outcome:
        field, rng = Field(loop, seed), random.Random(seed)
        await field.grow(nodes)
        key = skill_key(NETWORK, "skill-0")
        aims = middles(key, nodes) if is_spread else [key]
        share = sybils // len(aims)
        gang = [one for aim in aims for one in ground_identities(seed, aim, share, sybils * TRIES_A_SYBIL)]
        await field.infiltrate(gang, conduct=conduct)
        seller, found = rng.randrange(nodes), 0
        await field.nodes[seller].publish(key, b"seller")
        for asker in rng.sample([other for other in range(nodes) if other != seller], ASKERS):
            found += await field.finds(asker, key) == {b"seller"}
        return found, ASKERS

    return run(seed, main)


def middles(key: bytes, nodes: int) -> list[bytes]:
    """The middles of the quarters of a key's region, in a network of so many nodes."""
    bits = (2**ID_BITS // nodes * DhtConfig().k).bit_length()
    size, at = 1 << (bits - QUARTER_BITS), int.from_bytes(key, "big")
    return [(at ^ (number * size + size // 2)).to_bytes(ID_BYTES, "big") for number in range(QUARTERS)]


def infest(seed: int, nodes: int, malicious: int, looks: int, *, thorough: bool) -> Outcome:
    """Of so many nodes so many are attackers, with ids as chance gives them, in before anything is published."""

    async def main(loop: SimLoop) -> Outcome:
        field, rng = Field(loop, seed), random.Random(seed)
        await field.grow(nodes - malicious)
        await field.infiltrate(identities(seed, "botnet", malicious))
        found = 0
        for number in range(looks):
            key = skill_key(NETWORK, f"skill-{number}")
            seller, asker = rng.sample(range(len(field.nodes)), 2)
            await field.nodes[seller].publish(key, b"seller")
            found += await field.finds(asker, key, thorough=thorough) == {b"seller"}
        return found, looks

    return run(seed, main)


def spam(seed: int, nodes: int, limit: int, spammers: int) -> int:
    """How many honest adverts of 50 are left after a flood from 20 /8s that more than fills the key (`limit`).

    Half of the honest sellers publish before the flood, half after it. What several clients see together is what the
    holders keep: one look-up ends before it has paged through all of every holder's spam.
    """

    async def main(loop: SimLoop) -> int:
        field = Field(loop, seed, DhtConfig(max_found=1_000, max_records_per_key=limit))
        await field.grow(nodes)
        key = skill_key(NETWORK, "popular")
        early, late = range(HONEST_ADVERTS // 2), range(HONEST_ADVERTS // 2, HONEST_ADVERTS)
        await asyncio.gather(*(field.nodes[number].publish(key, b"seller %d" % number) for number in early))
        holders = await field.nodes[nodes - 1].closest(key)
        for number, spammer in enumerate(identities(seed, "spam", spammers)):
            await Spammer(loop, spammer, hostile_address(number, SPAM_BRANCHES), key).flood(holders)
            await asyncio.sleep(0.01)
        await asyncio.sleep(5)
        await asyncio.gather(*(field.nodes[number].publish(key, b"seller %d" % number) for number in late))
        seen = [await field.finds(asker, key) for asker in range(0, nodes, 8)]
        return len(set().union(*seen) - {b"spam"})

    return run(seed, main)
