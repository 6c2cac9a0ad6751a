"""Things that happen to nodes and to the network between them. Each returns, with a line that says so, once it is so.

TestnetError when it cannot be done.
"""

import asyncio
from collections.abc import Sequence

from coalesced.testnet import lying, processes, runner
from coalesced.testnet.manifest import Lie, Manifest
from coalesced.testnet.proxy import orders
from coalesced.testnet.proxy.weather import Link, ordered


async def kill(manifest: Manifest, name: str) -> str:
    """End a node at once."""
    await asyncio.to_thread(processes.kill, manifest.home(manifest.node(name)))
    return f"{name} was killed (SIGKILL), as in a crash; `chaos restart {name}` starts it on its old directory"


async def pause(manifest: Manifest, name: str) -> str:
    """Stop a node's clockwork."""
    await asyncio.to_thread(processes.pause, manifest.home(manifest.node(name)))
    return f"{name} stands still (SIGSTOP): connected, but silent; `chaos resume {name}` lets it go on"


async def resume(manifest: Manifest, name: str) -> str:
    """Let a paused node go on."""
    await asyncio.to_thread(processes.resume, manifest.home(manifest.node(name)))
    return f"{name} goes on (SIGCONT)"


async def restart(manifest: Manifest, name: str) -> str:
    """Stop a node if it runs, and start it."""
    status = await runner.restart(manifest, manifest.node(name))
    return f"{name} runs again as {status['node']}, pid {status['pid']}"


async def partition(manifest: Manifest, groups: Sequence[Sequence[str]]) -> str:
    """Cut the links between groups of nodes."""
    for name in (name for group in groups for name in group):
        manifest.node(name)
    await orders.cut(manifest, *groups)
    parts = " | ".join(",".join(group) for group in groups)
    return f"nothing passes between {parts if len(groups) > 1 else parts + ' and all others'}; `chaos heal` ends it"


async def slow(manifest: Manifest, name: str, other: str | None, link: Link) -> str:
    """Make the links of a node slow, or the one between two."""
    manifest.node(name)
    others = [other] if other is not None else [node.name for node in manifest.nodes if node.name != name]
    await orders.slow(manifest, [ordered(name, one) for one in others], link)
    return f"between {name} and {other or 'all others'}: {link}; `chaos heal` ends it"


async def lie(manifest: Manifest, name: str, kind: Lie, *, allow_unsafe: bool) -> str:
    """Make a liar of a validator."""
    await lying.make_liar(manifest, name, kind, allow_unsafe=allow_unsafe)
    return f"{name} runs again and lies ({kind}), and so it will"


async def heal(manifest: Manifest) -> str:
    """Make all links fine."""
    await orders.heal(manifest)
    return "the network between all nodes is fine"
