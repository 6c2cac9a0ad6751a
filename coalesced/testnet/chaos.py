"""Things that happen to nodes: crash, standstill, restart. Each ends when it has taken effect."""

import asyncio
from typing import Literal, assert_never, get_args

from coalesced.testnet import processes, runner
from coalesced.testnet.manifest import Manifest

Disturbance = Literal["kill", "pause", "resume", "restart"]
DISTURBANCES: tuple[Disturbance, ...] = get_args(Disturbance)


async def disturb(manifest: Manifest, name: str, disturbance: Disturbance) -> str:
    """Do it to the node called `name`; one line that says what was done. TestnetError when it cannot be."""
    node = manifest.node(name)
    home = manifest.home(node)
    match disturbance:
        case "kill":
            await asyncio.to_thread(processes.kill, home)
            return f"{name} was killed (SIGKILL), as in a crash; `chaos restart {name}` starts it on its old directory"
        case "pause":
            await asyncio.to_thread(processes.pause, home)
            return f"{name} stands still (SIGSTOP): connected, but silent; `chaos resume {name}` lets it go on"
        case "resume":
            await asyncio.to_thread(processes.resume, home)
            return f"{name} goes on (SIGCONT)"
        case "restart":
            status = await runner.restart(manifest, node)
            return f"{name} runs again as {status['node']}, pid {status['pid']}"
        case _:
            assert_never(disturbance)
