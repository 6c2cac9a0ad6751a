"""Nodes that sell a model of the tests' own endpoint."""

from typing import Any

from node.outsource.config import ContractorConfig
from node.views import ModelSource, OfferView, SellRequest, TokenRate
from tests.harness.nodes import Node, World
from tests.harness.openai_backend import Backend

TEXT = "Give me statistics: Ships carry goods. Goods are bought, and goods are sold."
PRICE = TokenRate(read_micro=1_000_000, written_micro=4_000_000)
NOTHING = ContractorConfig(skills=())
"""No builtin skill is on sale."""


async def sell_model(node: Node, served: Backend, label: str | None = "chat", **fields: Any) -> OfferView:
    """Put the endpoint's model on sale; `fields` change what is said about it."""
    source = ModelSource(**{"url": served.url, "model": "small-1", "price": PRICE, **fields})
    return await node.owner.sell(SellRequest(target=served.url, label=label, remote=source))


async def model_seller(some: World, served: Backend, **plan: Any) -> Node:
    """A node that sells nothing but the endpoint's model, as `chat`."""
    seller = await some.seller(sections={"contractor": NOTHING}, **plan)
    await sell_model(seller, served)
    return seller
