"""A flood of buyers, as a process of its own: python scripts/bench/flooding.py quotes|jobs HOST:PORT KEY BUYERS.

Each buyer has a key and a session of its own and keeps as many requests under way as a session takes. `quotes` asks for
quotes and does nothing with them; `jobs` awards each, takes the result and signs no receipt. Ends at SIGTERM and prints
how much of what was answered, as JSON.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crypto.identity import Identity
from node.env import Env
from node.net.config import NetConfig
from node.net.endpoint import Endpoint, parse_endpoint
from node.net.errors import NetError, Refusal, RemoteRefused
from node.net.peers import Peers
from node.net.session import Call, Session
from node.net.websocket import WebSocketTransport
from node.tasks.content import Content
from node.tasks.spec import Wishes, digest, encode_specification, specify
from protocol.messages import Award, Message, Quote, QuoteRequest
from protocol.packing import unpack
from protocol.signed import AwardTerms, QuoteTerms, sign
from scripts.bench.daemons import NETWORK

CONTENT = Content("text/plain", b"x")
LABEL = "bench/busy"
PATIENCE_S = 30.0
REFUSED_PAUSE_S = 0.001
"""A flood that is refused at once goes on at once; this only lets its own event loop turn."""


class Flood:
    """One buyer of the flood."""

    def __init__(self, what: str, counts: Counter[str]) -> None:
        config = NetConfig()
        self._what = what
        self._counts = counts
        self._requests_at_once = config.max_calls
        self._identity = Identity(os.urandom(32))
        transport = WebSocketTransport(config.max_message_bytes)
        self._peers = Peers(self._identity, NETWORK, transport, _refuse, os.urandom, config)
        wishes = Wishes(budget_micro=250_000, deadline_s=PATIENCE_S, privacy="public")
        self._specification = specify((LABEL,), CONTENT, 1, wishes, usual_score_ppm=500_000)

    async def run(self, endpoint: Endpoint, key: bytes) -> None:
        """Until cancelled."""
        await self._peers.start([])
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._requests_at_once):
                    group.create_task(self._ask_on(endpoint, key))
        finally:
            await self._peers.stop()

    async def _ask_on(self, endpoint: Endpoint, key: bytes) -> None:
        while True:
            try:
                session = await self._peers.session(key, endpoint)
                answer = await self._ask(session)
                self._counts[type(answer).__name__] += 1
                if not isinstance(answer, Quote):
                    await asyncio.sleep(REFUSED_PAUSE_S)
                elif self._what == "jobs":
                    result = await session.request(self._award(answer), timeout_s=PATIENCE_S)
                    self._counts[type(result).__name__] += 1
            except RemoteRefused as error:
                self._counts[f"refused: {error.code}"] += 1
                await asyncio.sleep(REFUSED_PAUSE_S)
            except (NetError, TimeoutError) as error:
                self._counts[type(error).__name__] += 1
                await asyncio.sleep(0.1)

    async def _ask(self, session: Session) -> Message:
        request = QuoteRequest(task_id=os.urandom(16), specification=self._specification)
        return await session.request(request, timeout_s=PATIENCE_S)

    def _award(self, quote: Quote) -> Award:
        quoted = unpack(QuoteTerms, quote.terms)
        terms = AwardTerms(
            task_id=quoted.task_id,
            quote_sha256=digest(quote.terms),
            client=quoted.client,
            contractor=quoted.contractor,
            awarded_unix_ms=Env().unix_ms(),
        )
        body, signature = sign(self._identity, terms)
        encoded = encode_specification(self._specification)
        return Award(terms=body, signature=signature, quote=quote, specification=encoded, input=CONTENT.data)


async def _refuse(call: Call) -> Message:
    raise Refusal("unexpected", f"a {type(call.body).__name__} is not answered here")


async def main(what: str, where: str, key: str, buyers: int) -> None:
    """Flood until SIGTERM."""
    counts = Counter[str]()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    flood = [
        asyncio.create_task(Flood(what, counts).run(parse_endpoint(where), bytes.fromhex(key))) for _ in range(buyers)
    ]
    await stopped.wait()
    for buyer in flood:
        buyer.cancel()
    await asyncio.wait(flood)
    print(json.dumps(counts))


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
