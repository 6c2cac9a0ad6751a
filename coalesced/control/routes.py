"""The calls of the control API: one handler a call, each a line or two around the node's own method."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast, get_args

from aiohttp import web

from coalesced.control import queries
from coalesced.control.config import ControlConfig
from coalesced.control.facade import Node
from coalesced.control.replies import Handler, read_view, stream_reply, view_reply
from node.errors import UsageError
from node.tasks.lifecycle import TaskState
from node.views import (
    AskRequest,
    BuyPriorsRequest,
    CertifyRequest,
    EventView,
    KeepRequest,
    LeakRequest,
    SellRequest,
    SkillTestRequest,
    View,
)

PREFIX = "/control/1"
DEFAULT_TASKS = 50
DEFAULT_ENTRIES = 20


class _AnswerBody(View, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="coalesced.answer-request/1"):
    text: str


class _StopBody(View, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="coalesced.stop-request/1"):
    drain: bool = True


class _SubmitBody(View, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="coalesced.submit-request/1"):
    tx: bytes


class Routes:
    """Binds the calls to one node."""

    def __init__(self, node: Node, config: ControlConfig) -> None:
        self._node = node
        self._config = config
        self._streams: set[asyncio.Task[object]] = set()

    def end_streams(self) -> None:
        """Break off every open stream: those who listen learn at once that the daemon goes."""
        for stream in self._streams:
            stream.cancel()

    def probes(self) -> list[web.RouteDef]:
        """What a supervisor asks, also over TCP."""
        return [
            web.get("/livez", self._livez),
            web.get("/readyz", self._readyz),
            web.get("/metrics", self._metrics),
        ]

    def calls(self) -> list[web.RouteDef]:
        """What the owner asks, only over the Unix socket."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/status", self._status),
            ("GET", "/doctor", self._doctor),
            ("GET", "/events", self._events),
            ("POST", "/reload", self._reload),
            ("POST", "/stop", self._stop),
            ("GET", "/peers", self._peers),
            ("POST", "/peers/{peer}/ping", self._ping),
            ("POST", "/peers/{peer}/block", self._block),
            ("POST", "/peers/{peer}/unblock", self._unblock),
            ("GET", "/skills", self._skills),
            ("GET", "/sellers", self._sellers),
            ("GET", "/matches", self._matches),
            ("GET", "/market", self._market),
            ("GET", "/priors", self._priors),
            ("POST", "/priors", self._buy_priors),
            ("GET", "/offers", self._offers),
            ("POST", "/offers", self._sell),
            ("DELETE", "/offers", self._unsell),
            ("POST", "/ask", self._ask),
            ("POST", "/decide", self._decide),
            ("GET", "/tasks", self._tasks),
            ("GET", "/tasks/{task}", self._task),
            ("GET", "/tasks/{task}/events", self._watch),
            ("GET", "/tasks/{task}/result", self._result),
            ("GET", "/tasks/{task}/receipt", self._receipt),
            ("GET", "/tasks/{task}/why", self._why),
            ("GET", "/tasks/{task}/replay", self._replay),
            ("POST", "/tasks/{task}/cancel", self._cancel),
            ("POST", "/tasks/{task}/answer", self._answer),
            ("GET", "/journal", self._journal_tail),
            ("POST", "/journal/verify", self._journal_verify),
            ("GET", "/journal/{height}", self._journal_show),
            ("GET", "/ledger", self._ledger_head),
            ("GET", "/ledger/members", self._ledger_members),
            ("POST", "/ledger/verify", self._ledger_verify),
            ("GET", "/ledger/blocks", self._ledger_blocks),
            ("GET", "/ledger/proof", self._ledger_proof),
            ("GET", "/ledger/account", self._ledger_account),
            ("POST", "/ledger/transactions", self._ledger_submit),
            ("GET", "/trust/{peer}", self._trust),
            ("GET", "/peers/{peer}/certificates", self._certificates),
            ("GET", "/peers/{peer}/at-least", self._at_least),
            ("POST", "/peers/{peer}/attest", self._attest),
            ("GET", "/peers/{peer}/examined", self._examined),
            ("POST", "/skill-tests", self._test_skill),
            ("POST", "/leaks", self._report_leak),
            ("POST", "/certificates", self._certify),
            ("POST", "/certificates/kept", self._keep),
            ("DELETE", "/certificates/{serial}", self._revoke),
        ]
        return [web.route(method, PREFIX + path, handler) for method, path, handler in table]

    # --- probes ---

    async def _livez(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        ready = self._node.is_ready()
        return web.Response(text="ready\n" if ready else "not ready\n", status=200 if ready else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._node.metrics(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def _stream(
        self, request: web.Request, events: AsyncIterator[EventView], *, at_once: bool = False
    ) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            return await stream_reply(request, events, heartbeat_s=self._config.heartbeat_s, at_once=at_once)
        finally:
            self._streams.discard(task)

    # --- the node ---

    async def _status(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.status())

    async def _doctor(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.doctor())

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, self._node.events(), at_once=True)

    async def _reload(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.reload())

    async def _stop(self, request: web.Request) -> web.Response:
        body = await read_view(request, _StopBody)
        return view_reply(await self._node.stop(drain=body.drain))

    # --- peers and skills ---

    async def _peers(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.peers())

    async def _ping(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.ping(request.match_info["peer"]))

    async def _block(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.block(request.match_info["peer"]))

    async def _unblock(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.unblock(request.match_info["peer"]))

    async def _skills(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.skills())

    async def _sellers(self, request: web.Request) -> web.Response:
        found = await self._node.find_skill(queries.named(request, "skill"), max_price_micro=queries.max_price(request))
        return view_reply(found)

    async def _matches(self, request: web.Request) -> web.Response:
        trust = queries.whole(request.query.get("min_trust_ppm", "0"), "min_trust_ppm", least=0, most=1_000_000)
        found = await self._node.find_meaning(
            queries.named(request, "text"),
            max_price_micro=queries.max_price(request),
            min_trust_ppm=trust,
            needs=request.query.getall("needs", []),
        )
        return view_reply(found)

    async def _market(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.market(request.query.get("skill")))

    async def _priors(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.priors(request.query.get("skill")))

    async def _buy_priors(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.buy_priors(await read_view(request, BuyPriorsRequest)))

    async def _offers(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.offers())

    async def _sell(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.sell(await read_view(request, SellRequest)))

    async def _unsell(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.unsell(queries.named(request, "skill")))

    # --- tasks ---

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        asked = await read_view(request, AskRequest)
        return await self._stream(request, self._node.ask(asked))

    async def _decide(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.decide(await read_view(request, AskRequest)))

    async def _tasks(self, request: web.Request) -> web.Response:
        state = request.query.get("state")
        if state is not None and state not in get_args(TaskState):
            raise UsageError(f"state {state[:40]!r} is none of {', '.join(get_args(TaskState))}")
        limit = queries.limit(request, DEFAULT_TASKS)
        return view_reply(await self._node.tasks(limit=limit, state=cast("TaskState | None", state)))

    async def _task(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.task(request.match_info["task"]))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, self._node.watch(request.match_info["task"]))

    async def _result(self, request: web.Request) -> web.Response:
        data, media_type = await self._node.result(request.match_info["task"])
        headers = {"Content-Type": media_type, "X-Content-Type-Options": "nosniff"}
        return web.Response(body=data, headers=headers)

    async def _receipt(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.receipt(request.match_info["task"]))

    async def _why(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.why(request.match_info["task"]))

    async def _replay(self, request: web.Request) -> web.Response:
        number = request.query.get("number")
        which = None if number is None else queries.whole(number, "decision", least=1, most=10**9)
        what_if = request.query.getall("what_if", [])
        return view_reply(await self._node.replay(request.match_info["task"], number=which, what_if=what_if))

    async def _cancel(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.cancel(request.match_info["task"]))

    async def _answer(self, request: web.Request) -> web.Response:
        body = await read_view(request, _AnswerBody)
        return view_reply(await self._node.answer(request.match_info["task"], body.text))

    # --- the journal ---

    async def _journal_tail(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.journal_tail(queries.limit(request, DEFAULT_ENTRIES)))

    async def _journal_show(self, request: web.Request) -> web.Response:
        height = queries.whole(request.match_info["height"], "journal height", least=0, most=10**15)
        return view_reply(await self._node.journal_show(height))

    async def _journal_verify(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.journal_verify())

    # --- the community chain ---

    async def _ledger_head(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.ledger_head())

    async def _ledger_members(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.ledger_members())

    async def _ledger_verify(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.ledger_verify())

    async def _ledger_blocks(self, request: web.Request) -> web.Response:
        first = queries.whole(request.query.get("first", "1"), "block", least=1, most=10**15)
        return view_reply(await self._node.ledger_blocks(first))

    async def _ledger_proof(self, request: web.Request) -> web.Response:
        with_receipt = request.query.get("with_receipt") == "1"
        return view_reply(await self._node.ledger_proof(queries.named(request, "of"), with_receipt=with_receipt))

    async def _ledger_account(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.ledger_account(request.query.get("of")))

    async def _ledger_submit(self, request: web.Request) -> web.Response:
        body = await read_view(request, _SubmitBody)
        return view_reply(await self._node.ledger_submit(body.tx))

    async def _trust(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.trust(request.match_info["peer"]))

    # --- certificates and proofs ---

    async def _certificates(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.certificates(request.match_info["peer"]))

    async def _certify(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.certify(await read_view(request, CertifyRequest)))

    async def _keep(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.keep_credential((await read_view(request, KeepRequest)).document))

    async def _revoke(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.revoke_certificate(request.match_info["serial"]))

    async def _at_least(self, request: web.Request) -> web.Response:
        amount = queries.whole(queries.named(request, "at_least"), "amount", least=1, most=2**31)
        hidden = request.query.get("hidden") == "1"
        peer, name = request.match_info["peer"], queries.named(request, "name")
        return view_reply(await self._node.at_least(peer, name, amount, hidden=hidden))

    async def _attest(self, request: web.Request) -> web.Response:
        wanted = {
            name: queries.whole(queries.named(request, name), name, least=least, most=4096)
            for name, least in (("size", 1), ("rounds", 1), ("memory_mib", 0))
        }
        return view_reply(await self._node.attest(request.match_info["peer"], **wanted))

    async def _examined(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.examined(request.match_info["peer"]))

    async def _test_skill(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.test_skill(await read_view(request, SkillTestRequest)))

    async def _report_leak(self, request: web.Request) -> web.Response:
        return view_reply(await self._node.report_leak(await read_view(request, LeakRequest)))
