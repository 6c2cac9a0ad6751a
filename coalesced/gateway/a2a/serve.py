"""The A2A server of one node, on its public port: cards, both bindings, and what is behind them."""

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

import structlog
from a2a.server.agent_execution import AgentExecutor
from a2a.types.a2a_pb2 import Task, TaskState
from a2a.utils.constants import AGENT_CARD_WELL_KNOWN_PATH
from aiohttp import web
from msgspec.structs import replace

from coalesced import __version__
from coalesced.gateway.a2a.callers import Callers, read_tokens
from coalesced.gateway.a2a.cards import MAX_AGE_S, REST_PATH, RPC_PATH, Card, Cards
from coalesced.gateway.a2a.config import A2aConfig
from coalesced.gateway.a2a.door import Door, Entry, refusal
from coalesced.gateway.a2a.executor import NodeCalls, NodeExecutor
from coalesced.gateway.a2a.handler import Handler
from coalesced.gateway.a2a.legacy import LegacyRpc
from coalesced.gateway.a2a.push import PushSender
from coalesced.gateway.a2a.rest import RestBinding
from coalesced.gateway.a2a.rpc import RpcBinding
from coalesced.gateway.a2a.shared import ECONOMICS
from coalesced.gateway.a2a.streams import EventStreams
from coalesced.gateway.a2a.taskstore import NodePushStore, NodeTaskStore
from coalesced.gateway.a2a.terms import Terms, quote_in
from coalesced.gateway.a2a.words import said
from coalesced.gateway.quotas import RequestRates
from node.daemon import Parts
from node.owner.skills import Price, price_of, skills_view
from node.views import AskRequest, SkillRow

log = structlog.get_logger()

CATALOG_PATH: Final = "/.well-known/ai-catalog.json"


class A2aServer:
    """Serves A2A callers. `attach` before the port opens, `open` once it is, `close` when the node has stopped."""

    def __init__(
        self,
        config: A2aConfig,
        parts: Parts,
        node: NodeCalls,
        *,
        base_url: str,
        required: frozenset[str] = frozenset(),
        executor: AgentExecutor | None = None,
        by_address: bool = False,
    ) -> None:
        """`required`: extensions that callers must know. `executor`: another one than ours, for any media type.

        `by_address`: callers without credentials are known by their address, for tests that have none.
        """
        self._parts = parts
        self._tasks = parts.store.a2a
        unix_ms = parts.env.unix_ms
        address = config.public_url or base_url
        self._cards = Cards(
            config,
            parts.identity,
            base_url=address,
            version=__version__,
            skills=self._skills,
            certificates=self._certificates,
            required=required,
            unix_ms=unix_ms,
        )
        terms = Terms(config, parts.identity, self._tasks, offered=self._offered, price=self._price, unix_ms=unix_ms)
        push_store = NodePushStore(self._tasks, unix_ms)
        self._push = PushSender(push_store, allow_private=config.push_to_private_addresses)
        self._handler = Handler(
            executor or NodeExecutor(node, terms, parts.identity, parts.store.earnings, unix_ms),
            NodeTaskStore(self._tasks, unix_ms),
            push_store=push_store if config.push_notifications else None,
            push_sender=self._push if config.push_notifications else None,
            allow_private=config.push_to_private_addresses,
            any_media_type=executor is not None,
        )
        tokens = read_tokens(Path(config.tokens_file)) if config.tokens_file else {}
        self._door = Door(
            Callers(tokens, anonymous=config.anonymous, by_address=by_address, since_unix_s=unix_ms() // 1000),
            RequestRates(config.requests_per_minute),
            base_url=address,
            max_request_bytes=config.max_request_bytes,
            supported=required | {ECONOMICS},
            unix_ms=unix_ms,
        )
        self.streams = EventStreams(config.heartbeat_s)
        legacy = LegacyRpc(self._handler, self.streams, required) if config.legacy_0_3 else None
        self._rpc = RpcBinding(self._handler, self._enter, self.streams, required, legacy)
        self._rest = RestBinding(self._handler, self._enter, self.streams, required)
        self._extended = config.extended_card

    def attach(self, app: web.Application) -> None:
        """Add the routes. When the app shuts down, open streams end."""
        app.router.add_get(AGENT_CARD_WELL_KNOWN_PATH, self._card)
        app.router.add_get(CATALOG_PATH, self._catalog)
        app.router.add_routes(self._rpc.routes(RPC_PATH))
        app.router.add_routes(self._rest.routes(REST_PATH))
        app.on_shutdown.append(self.streams.end_all)

    async def open(self) -> None:
        """End what the last run left under way. Quotes that wait for their contract go on waiting."""
        for row in await self._tasks.unfinished():
            task = Task.FromString(row.body)
            if quote_in(task) is not None:
                continue
            text = "this agent was restarted while the task was under way"
            task.status.state = TaskState.TASK_STATE_FAILED
            task.status.message.CopyFrom(said(text, task_id=task.id, context_id=task.context_id))
            body = task.SerializeToString()
            ended = replace(row, state=task.status.state, ended=True, body=body)
            await self._tasks.save(ended)
            log.info("a2a.task_ended_by_restart", task=task.id)

    async def close(self) -> None:
        """Drop what is under way."""
        await self.streams.end_all()
        await self._handler.aclose()
        await self._push.close()

    # --- what the parts behind it ask

    def _offered(self) -> tuple[str, ...]:
        return tuple(ware.label for ware in self._parts.shop.wares)

    async def _skills(self) -> Sequence[SkillRow]:
        return (await skills_view(self._parts)).skills

    async def _certificates(self) -> Sequence[str]:
        return [one.token for one in await self._parts.proofs.desk.held()]

    async def _price(self, request: AskRequest) -> Price:
        return await price_of(self._parts, request)

    # --- routes

    async def _enter(self, request: web.Request) -> Entry:
        """Let a request in, with the handler going by the card of this moment."""
        entry = await self._door.enter(request)
        await self._shown()
        return entry

    async def _shown(self) -> Card:
        card = await self._cards.current(self._offered())
        if card is None:
            raise refusal(
                HTTPStatus.NOT_FOUND,
                "this node has nothing on sale: coalesced sell puts a skill up",
            )
        self._handler.show(card.message, card.extended if self._extended else None)
        return card

    async def _card(self, request: web.Request) -> web.Response:
        card = await self._shown()
        headers = {"ETag": card.etag, "Last-Modified": card.modified, "Cache-Control": f"public, max-age={MAX_AGE_S}"}
        known = request.headers.get("If-None-Match", "")
        if card.etag in [one.strip().removeprefix("W/") for one in known.split(",")] or known.strip() == "*":
            return web.Response(status=304, headers=headers)
        return web.Response(body=card.body, content_type="application/json", headers=headers)

    async def _catalog(self, request: web.Request) -> web.Response:
        body = self._cards.catalog(await self._shown())
        headers = {"Cache-Control": f"public, max-age={MAX_AGE_S}"}
        return web.Response(body=body, content_type="application/json", headers=headers)
