"""Have a task done, here or by whoever does it best, and read what it took."""

import asyncio

import coalesced


async def main() -> None:
    """Ask one question of the node on this machine."""
    async with coalesced.connect() as node:
        answer = await node.ask("sentiment", "Margins held up well. Sales were awful.", budget=0.01, deadline_s=60)
    print("score:", answer.json()["score"])
    print(f"cost: ${answer.cost}, saved: ${answer.saving}")
    print("why:", answer.why)


asyncio.run(main())
