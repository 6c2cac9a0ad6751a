"""`testnet assert`: the console's `expect` lines, about all nodes of a testnet or one of them."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, TextIO

from coalesced.cli.escape import escaped
from coalesced.control.client import ControlClient
from coalesced.control.errors import ControlError
from coalesced.repl.expect import Expectation, ExpectError, parse_expectation
from coalesced.repl.expecting import QUANTITIES, waited
from coalesced.repl.grammar import GrammarError, parse
from coalesced.testnet import runner
from coalesced.testnet.agreement import agree
from coalesced.testnet.manifest import Manifest, NodePlan

AGREE: Final = "ledger.agree"
FACTS: Final = (AGREE,)
USAGE: Final = 2
FAILED: Final = 1

Seen = dict[str, float | None]
"""A value of each node, or of all together under their names; None where a node does not answer."""


class Expecter:
    """Runs a script's lines, each of which is an expectation. All nodes are those that do not lie on the chain."""

    has_reader = True
    wants_to_leave = False

    def __init__(self, manifest: Manifest, out: TextIO, err: TextIO, *, default_node: str = "") -> None:
        """`default_node` is meant where a line does not say; all nodes if it is empty."""
        self._manifest = manifest
        self._out = out
        self._err = err
        self._default = default_node or "all"

    async def execute(self, text: str) -> int:
        """Wait until the expectation in one line holds: 0, or 1 when it does not in its time, 2 when it is none."""
        try:
            words = parse(text).words
            if not words:
                return 0
            if words[0] != "expect":
                raise ExpectError(f"{words[0]!r} is no expectation: every line begins with expect")
            names = tuple(node.name for node in self._manifest.nodes)
            expectation = parse_expectation(words[1:], tuple(QUANTITIES), facts=FACTS, nodes=names)
        except (GrammarError, ExpectError) as error:
            return self._complain(str(error), USAGE)
        nodes = self._meant(expectation)
        async with AsyncExitStack() as stack:
            clients = {}
            for node in nodes:
                client = ControlClient(runner.socket_of(self._manifest, node))
                clients[node.name] = await stack.enter_async_context(client)

            async def look() -> Seen:
                return await _look(expectation, clients)

            def is_enough(seen: Seen) -> bool:
                return all(value is not None and expectation.holds(value) for value in seen.values())

            holds, seen = await waited(look, is_enough, expectation.within_s)
        if not holds:
            return self._complain(f"expected {expectation}; {_told(seen)}", FAILED)
        print(f"{expectation.quantity}: {_told(seen)}", file=self._out, flush=True)
        return 0

    def _meant(self, expectation: Expectation) -> Sequence[NodePlan]:
        where = expectation.where or self._default
        return self._manifest.honest if where == "all" else (self._manifest.node(where),)

    def _complain(self, text: str, code: int) -> int:
        print(f"error: {escaped(text)}", file=self._err, flush=True)
        return code


async def _look(expectation: Expectation, clients: dict[str, ControlClient]) -> Seen:
    if expectation.quantity == AGREE:
        try:
            async with asyncio.timeout(runner.STATUS_TIMEOUT_S):
                return {", ".join(clients): float(await agree(list(clients.values())))}
        except (ControlError, TimeoutError):
            return {", ".join(clients): None}

    async def value(client: ControlClient) -> float | None:
        try:
            async with asyncio.timeout(runner.STATUS_TIMEOUT_S):
                return QUANTITIES[expectation.quantity](await client.status())
        except (ControlError, TimeoutError):
            return None

    return dict(zip(clients, await asyncio.gather(*map(value, clients.values())), strict=True))


def _told(seen: Seen) -> str:
    return ", ".join(f"{name} {'does not answer' if value is None else f'{value:g}'}" for name, value in seen.items())
