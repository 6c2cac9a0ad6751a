"""Nodes that find each other by multicast DNS on the loopback interface."""

import pytest

from node.outsource.config import ContractorConfig
from node.registry.config import RegistryConfig
from tests.harness.nodes import DEAR, world

pytest.importorskip("zeroconf")
TEXT = "The room was not clean, but the staff were wonderful."


async def test_a_node_without_any_address_joins_through_a_neighbour_and_buys_there() -> None:
    lan = {"registry": RegistryConfig(lan=True)}
    async with world() as made:
        seller = await made.node(bootstrap=(), sections=lan)
        buyer = await made.node(
            bootstrap=(),
            speeds={"sentiment": 0.05},
            sections={"machine": DEAR, "contractor": ContractorConfig(sell=False), **lan},
        )
        assert buyer.parts.sources is not seller.parts.sources
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")
