"""Whether the nodes of a testnet have the same chain."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence

from coalesced.control.client import ControlClient
from protocol.consensus import Committed, block_hash
from protocol.packing import unpack


async def blocks(client: ControlClient, first: int = 1) -> AsyncIterator[Committed]:
    """A node's blocks from height `first` on, in order."""
    while page := (await client.ledger_blocks(first))["blocks"]:
        for block in page:
            yield unpack(Committed, base64.b64decode(block))
        first += len(page)


async def agree(clients: Sequence[ControlClient]) -> bool:
    """Whether all have the same block at the height that the least of them has reached, and so at all below it."""
    heads = await asyncio.gather(*(client.ledger_head() for client in clients))
    height = min(head["height"] for head in heads)
    if height == 0:
        return len({head["chain"] for head in heads}) == 1
    return len(set(await asyncio.gather(*(_hash_at(client, height) for client in clients)))) == 1


async def _hash_at(client: ControlClient, height: int) -> bytes:
    return block_hash((await anext(blocks(client, height))).block.header)
