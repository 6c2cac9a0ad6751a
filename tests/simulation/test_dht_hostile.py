"""Whoever tries to hide a seller, or to crowd one out: real nodes in virtual time, each in a /24 of its own.

The whole gates, over ten seeds, are marked `long`: half a minute each, since nothing is signed there, which changes
nothing that attackers or nodes do. `scripts/bench_lookup siege` measures what larger attacks achieve.
"""

import asyncio
from typing import get_args

import pytest

import dht.datagram
import dht.records
from coalesced.sim.dhtfield import NETWORK, Conduct, Field, ground_identities, honest_address, honest_identity
from coalesced.sim.loop import SimLoop, run
from coalesced.sim.sieges import HONEST_ADVERTS, eclipse, infest, spam
from crypto.identity import Identity
from dht.ids import skill_key

SYBILS = 60
SEEDS = range(1, 11)


@pytest.fixture
def unsigned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is signed or checked: half of the work."""
    monkeypatch.setattr(Identity, "sign", lambda self, label, message: bytes(64))
    monkeypatch.setattr(dht.datagram, "verify", lambda *_: True)
    monkeypatch.setattr(dht.records, "verify", lambda *_: True)


@pytest.mark.usefixtures("unsigned")
@pytest.mark.parametrize("conduct", ["polite", "inventing"])
def test_sixty_sybils_in_sixty_networks_do_not_hide_a_seller(conduct: Conduct) -> None:
    assert eclipse(1, nodes=60, sybils=SYBILS, conduct=conduct) == (10, 10)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("unsigned")
@pytest.mark.parametrize("is_spread", [False, True])
@pytest.mark.parametrize("conduct", get_args(Conduct))
def test_sixty_sybils_hide_no_seller_over_ten_seeds(conduct: Conduct, is_spread: bool) -> None:
    """Gate: 99 % found, with the size that each node estimates."""
    outcomes = [eclipse(seed, nodes=60, sybils=SYBILS, conduct=conduct, is_spread=is_spread) for seed in SEEDS]
    found, asked = (sum(column) for column in zip(*outcomes, strict=True))
    assert asked == 100
    assert found >= 0.99 * asked, f"{found} of {asked}: {outcomes}"


@pytest.mark.usefixtures("unsigned")
def test_a_flood_from_twenty_first_bytes_leaves_all_fifty_honest_adverts() -> None:
    assert spam(1, nodes=52, limit=64, spammers=80) == HONEST_ADVERTS


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("unsigned")
def test_a_flood_leaves_all_honest_adverts_over_ten_seeds() -> None:
    """Gate: 50 of 50."""
    assert [spam(seed, nodes=60, limit=100, spammers=120) for seed in SEEDS] == [HONEST_ADVERTS] * len(SEEDS)


@pytest.mark.usefixtures("unsigned")
def test_with_two_of_five_nodes_malicious_every_seller_is_found() -> None:
    assert infest(1, nodes=60, malicious=24, looks=20, thorough=True) == (20, 20)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("unsigned")
@pytest.mark.parametrize("thorough", [True, False])
def test_with_two_of_five_nodes_malicious_every_seller_is_found_over_ten_seeds(thorough: bool) -> None:
    """Gate: 100 % at k = 20."""
    outcomes = [infest(seed, nodes=60, malicious=24, looks=20, thorough=thorough) for seed in SEEDS]
    assert outcomes == [(20, 20)] * len(SEEDS)


@pytest.mark.parametrize("is_there_before", [False, True])
def test_a_crowd_around_a_node_hardly_changes_what_it_takes_for_the_size_of_the_network(is_there_before: bool) -> None:
    """Nor one that waited for a node of that key to come back: its look-up of its own id finds the crowd."""

    async def main(loop: SimLoop) -> None:
        field = Field(loop, 4)
        await field.grow(40)
        estimates = sorted(node.estimated_nodes() for node in field.nodes)
        assert 20 <= estimates[20] <= 80
        victim = honest_identity(4, 39)
        if is_there_before:
            await field.nodes[39].stop()
        await field.infiltrate(ground_identities(4, victim.node_id, 25, 5_000))
        if is_there_before:
            field.nodes[39] = field.node(39)
            field.nodes[39].add_bootstrap([honest_address(3)])
            await field.nodes[39].start([honest_address(39)])
            await asyncio.sleep(60)
        await field.nodes[39].find(skill_key(NETWORK, "risk"), timeout_s=5, thorough=True)
        assert field.nodes[39].estimated_nodes() <= 2 * 65, "by its neighbours alone, it is thousands"

    run(4, main)
