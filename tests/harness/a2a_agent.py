"""The agent of the conformance kit as a program: a whole node whose A2A server plays the kit's scenarios.

    python -m tests.harness.a2a_agent [--without streaming|push_notifications|extended_card] [--required URI]

It prints its address and serves until its input ends.
"""

import argparse
import asyncio
import sys

from coalesced.gateway.a2a.config import A2aConfig
from coalesced.gateway.a2a.extra import load_extra
from coalesced.logs import LogConfig, configure
from tests.harness.nodes import World

SWITCHES = ("streaming", "push_notifications", "extended_card")


async def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without", choices=SWITCHES, action="append", default=[])
    parser.add_argument("--required", action="append", default=[], metavar="URI")
    wanted = parser.parse_args()
    configure(LogConfig(level="error"))
    load_extra("serve")  # before whatever else imports the SDK
    from tests.harness.a2a_kit import KitExecutor

    config = A2aConfig(
        enabled=True,
        anonymous=True,
        push_to_private_addresses=True,
        requests_per_minute=10**6,
        streaming="streaming" not in wanted.without,
        push_notifications="push_notifications" not in wanted.without,
        extended_card="extended_card" not in wanted.without,
    )
    # The kit has no credentials, and asks for the extended card all the same.
    served = {"executor": KitExecutor(), "required": frozenset(wanted.required), "by_address": True}
    async with World() as world:
        node = await world.node(sections={"a2a": config}, a2a=served)
        print(f"http://{node.endpoint}", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
