"""Asks a testnet's proxy to make links bad or fine again."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from coalesced.paths import find_paths
from coalesced.testnet.manifest import Manifest, TestnetError
from coalesced.testnet.proxy.weather import Forecast, Link, Order, Pair, ordered

ANSWER_TIMEOUT_S: Final = 5.0


def home_of(manifest: Manifest) -> Path:
    """The directory of the proxy, in that of its testnet."""
    return Path(manifest.directory) / "proxy"


async def ask(manifest: Manifest, order: Order) -> Forecast:
    """Have an order carried out; TestnetError when there is no proxy, or it refuses."""
    if not manifest.has_proxy:
        raise TestnetError(f"testnet {manifest.name!r} was started with --no-proxy: nothing stands between its nodes")
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(find_paths(home_of(manifest), environ={}).socket)
            writer.write(msgspec.json.encode(order) + b"\n")
            answer = msgspec.json.decode(await reader.read(), type=Forecast)
            writer.close()
    except (OSError, TimeoutError, msgspec.MsgspecError) as error:
        raise TestnetError(f"the proxy of testnet {manifest.name!r} does not answer: {error}") from error
    if answer.error:
        raise TestnetError(answer.error)
    return answer


async def cut(manifest: Manifest, *groups: Iterable[str]) -> Forecast:
    """Make a black hole of every link between nodes of different groups; one group alone is cut off from all others."""
    sides = [tuple(group) for group in groups]
    if len(sides) == 1:
        sides.append(tuple(node.name for node in manifest.nodes if node.name not in sides[0]))
    pairs = [ordered(a, b) for at, side in enumerate(sides) for other in sides[at + 1 :] for a in side for b in other]
    now = await ask(manifest, Order())
    return await ask(manifest, Order(links=tuple((pair, replace(now.link(*pair), is_cut=True)) for pair in pairs)))


async def slow(manifest: Manifest, pairs: Iterable[Pair], link: Link) -> Forecast:
    """Give these links this delay, jitter and loss; a cut one stays cut."""
    now = await ask(manifest, Order())
    changed = ((pair, replace(link, is_cut=now.link(*pair).is_cut)) for pair in pairs)
    return await ask(manifest, Order(links=tuple(changed)))


async def heal(manifest: Manifest) -> Forecast:
    """Make every link fine."""
    return await ask(manifest, Order(heals=True))
