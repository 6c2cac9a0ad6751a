"""Follow a task while it runs."""

import asyncio

import coalesced


async def main() -> None:
    """Print every event of one task."""
    async with coalesced.connect() as node:
        async for event in node.stream("sentiment", "Not bad at all.", deadline_s=60):
            print(event["name"], event["text"])


asyncio.run(main())
