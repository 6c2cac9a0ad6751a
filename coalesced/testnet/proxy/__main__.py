"""The proxy's process: `python -m coalesced.testnet.proxy start --home DIR`, beside the testnet's nodes.

Its home lies in the testnet's directory, whose manifest says which nodes there are and where their fronts are.
"""

import argparse
import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import psutil

from coalesced.paths import find_paths, make_private
from coalesced.testnet import processes
from coalesced.testnet.manifest import HOST, Manifest, NodePlan, TestnetError, load
from coalesced.testnet.proxy.datagrams import Front
from coalesced.testnet.proxy.streams import carry
from coalesced.testnet.proxy.weather import Forecast, Order, Weather

MAX_ORDER_BYTES: Final = 2**20
"""Every pair of 64 nodes takes a third of it."""


async def serve(manifest: Manifest, home: Path) -> None:
    """Stand in for every node, and obey orders, until killed."""
    weather = Weather(frozenset(node.name for node in manifest.nodes))
    loop = asyncio.get_running_loop()
    fronts: dict[int, Front] = {}
    fronts |= {node.port: Front(node, fronts, weather) for node in manifest.nodes}
    servers = []
    for node in manifest.nodes:
        where = HOST, node.front_port or 0
        await loop.create_datagram_endpoint(partial(fronts.__getitem__, node.port), local_addr=where)
        servers.append(await asyncio.start_server(partial(_accepted, manifest, weather, node), *where))
    socket = find_paths(home, environ={}).socket
    make_private(socket.parent)
    socket.unlink(missing_ok=True)
    servers.append(await asyncio.start_unix_server(partial(_obey, weather), socket, limit=MAX_ORDER_BYTES))
    socket.chmod(0o600)
    await servers[-1].serve_forever()


async def _accepted(
    manifest: Manifest, weather: Weather, target: NodePlan, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """A connection to a node's front."""
    port = writer.get_extra_info("peername")[1]
    source = await asyncio.to_thread(owner_of, manifest, port)
    await carry(weather, source, target.name, target.port, (reader, writer))


def owner_of(manifest: Manifest, port: int) -> str | None:
    """Which node's process has a connection from this local port; None when it is somebody else's.

    A handshake says who calls only to the one who is called, so the system is asked.
    """
    for node in manifest.nodes:
        process = processes.find(manifest.home(node))
        try:
            held = process.net_connections("tcp4") if process is not None else []
        except psutil.Error:
            continue
        if any(one.laddr.port == port for one in held if one.laddr):
            return node.name
    return None


async def _obey(weather: Weather, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One order in a line, and what is so afterwards."""
    try:
        answer = weather.change(msgspec.json.decode(await reader.readline(), type=Order))
    except (msgspec.MsgspecError, ValueError) as error:
        answer = Forecast(error=f"not understood: {error}")
    writer.write(msgspec.json.encode(answer) + b"\n")
    writer.close()


def main() -> int:
    """Read the command line, then serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["start"])
    parser.add_argument("--home", type=Path, required=True)
    home = parser.parse_args().home
    try:
        manifest = load(home.parent)
        if not manifest.has_proxy:
            raise TestnetError(f"the testnet in {home.parent} has no fronts")
        asyncio.run(serve(manifest, home))
    except (TestnetError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
