"""Nodes that find each other by multicast DNS on the loopback interface."""

from typing import Any

import pytest

from dht.ids import skill_key
from dht.service import KademliaDiscovery
from node.outsource.config import ContractorConfig
from node.registry.config import RegistryConfig
from tests.harness.nodes import DEAR, NETWORK, world

pytest.importorskip("zeroconf")
TEXT = "The room was not clean, but the staff were wonderful."


async def test_a_node_without_any_address_joins_through_a_neighbour_and_buys_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find, thorough = KademliaDiscovery.find, list[bool]()

    async def told(self: KademliaDiscovery, key: bytes, **how: Any) -> Any:
        if key == skill_key(NETWORK, "sentiment"):
            thorough.append(how.get("thorough", False))
        return await find(self, key, **how)

    lan = {"registry": RegistryConfig(lan=True)}
    async with world() as made:
        seller = await made.node(bootstrap=(), sections=lan)
        buyer = await made.node(
            bootstrap=(),
            speeds={"sentiment": 0.05},
            sections={"machine": DEAR, "contractor": ContractorConfig(sell=False), **lan},
        )
        assert buyer.parts.sources is not seller.parts.sources
        monkeypatch.setattr(KademliaDiscovery, "find", told)
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")
        assert thorough
        assert all(thorough), "money depends on it, whoever is asked"
