"""Attacks on discovery, each a whole run from one seed: what is found of what honest nodes published."""

import asyncio
import random

from coalesced.sim.dhtfield import NETWORK, Field, Spammer, ground_identities, hostile_address, identities
from coalesced.sim.loop import SimLoop, run
from dht.config import DhtConfig
from dht.ids import skill_key

TRIES_A_SYBIL = 100
"""Keys tried for each one that is used: it then stands nearer to its target than 99 in 100 nodes would."""
SPAM_BRANCHES = 20
"""First bytes of addresses (/8s) that a flood comes from."""
HONEST_ADVERTS = 50
ASKERS = 10

Outcome = tuple[int, int]
"""Look-ups that found the seller, and look-ups made."""


def eclipse(seed: int, nodes: int, skills: int, sybils: int) -> Outcome:
    """For each skill so many sybils are in, each in a /24 of its own, before its seller publishes; then clients look.

    Their keys are closer to the skill than nearly every honest node's. Look-ups are those before money is committed.
    """

    async def main(loop: SimLoop) -> Outcome:
        field, rng = Field(loop, seed), random.Random(seed)
        await field.grow(nodes)
        found = asked = 0
        for number in range(skills):
            key = skill_key(NETWORK, f"skill-{number}")
            gang = ground_identities(seed, key, sybils, sybils * TRIES_A_SYBIL)
            await field.infiltrate(gang, first=number * sybils)
            seller = rng.randrange(nodes)
            await field.nodes[seller].publish(key, b"seller")
            for asker in rng.sample([other for other in range(nodes) if other != seller], ASKERS):
                asked += 1
                found += await field.finds(asker, key) == {b"seller"}
        return found, asked

    return run(seed, main)


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
