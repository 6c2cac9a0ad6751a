"""A node with no network: the control facade over plain dictionaries, doing real (if small) work.

Skills: `upper` answers the input in capitals; `slow` waits until `release` is set; `quiz` asks a question first;
`refuse` fails verification; `bug` raises what no node should.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from node.errors import NodeError, UsageError
from node.tasks.lifecycle import TaskState
from node.views import (
    AskRequest,
    Check,
    DecisionView,
    DoctorView,
    EventName,
    EventView,
    JournalEntryView,
    JournalRow,
    JournalView,
    LedgerBrief,
    MarketFlag,
    MarketRow,
    MarketView,
    MatchesView,
    MatchRow,
    OffersView,
    OfferView,
    OkView,
    OptionRow,
    PeerRow,
    PeersView,
    PingView,
    Problem,
    ReceiptView,
    ReplayView,
    ResultInfo,
    SellerRow,
    SellersView,
    SellRequest,
    ShareRow,
    SkillRow,
    SkillsView,
    StatusView,
    TaskError,
    TasksView,
    TaskView,
    TimelineRow,
    VerifyView,
    WhyView,
)
from tests.harness.memory_ledger import DID, NOW_UNIX_MS, MemoryLedger
from tests.harness.memory_priors import MemoryPriors
from tests.harness.memory_proofs import MemoryProofs

SKILLS = ("upper", "slow", "quiz", "refuse", "bug")

OPTIONS = (
    OptionRow(
        name="k7m2qfab",
        did=DID,
        level="cheap",
        price_micro=1200,
        time_micro=800,
        risk_micro=200,
        verify_micro=100,
        total_micro=2300,
        success_ppm=970_000,
        chosen=True,
    ),
    OptionRow(
        name="local",
        price_micro=900,
        time_micro=6100,
        risk_micro=100,
        verify_micro=0,
        total_micro=7100,
        success_ppm=930_000,
    ),
)


class MemoryNode(MemoryLedger, MemoryProofs, MemoryPriors):
    """Implements coalesced.control.facade.Node."""

    def __init__(self) -> None:
        self.ready = True
        self.release = asyncio.Event()
        self.answered = asyncio.Event()
        self.stopped: bool | None = None
        self.on_stop: Callable[[], None] = lambda: None
        self.holds_cancel = False
        self.asked: AskRequest | None = None
        self.sell_request: SellRequest | None = None
        self.blocked: set[str] = set()
        self.sold: dict[str, OfferView] = {}
        self.by_id: dict[str, TaskView] = {}
        self.histories: dict[str, list[EventView]] = {}
        self.results: dict[str, tuple[bytes, str]] = {}
        self.open_streams = 0
        self._workers: set[asyncio.Future[None]] = set()
        self.changed = asyncio.Condition()
        self.left = asyncio.Event()

    # --- the node ---

    async def status(self) -> StatusView:
        counts: dict[str, int] = {}
        for task in self.by_id.values():
            counts[task.state] = counts.get(task.state, 0) + 1
        return StatusView(
            node="k7m2qfab",
            did=DID,
            network="main",
            version="0.1.0",
            pid=os.getpid(),
            home="/nowhere",
            uptime_s=3723.4,
            listening=("127.0.0.1:7400",),
            advertised="127.0.0.1:7400",
            peers=1,
            contacts=4,
            bootstrap="joined through 1 of 2",
            skills_sold=tuple(self.sold),
            tasks=counts,
            spent_today_micro=12_345,
            cap_today_micro=10_000_000,
            journal_height=3,
            ledger=LedgerBrief(chain="ab" * 32, name="a test", role="member", height=12, members=3),
            problems=(Problem(text="no peer has the clock right", fix="coalesced doctor"),),
        )

    def is_ready(self) -> bool:
        return self.ready

    def metrics(self) -> bytes:
        return b"coalesced_peers 1\n"

    async def doctor(self) -> DoctorView:
        return DoctorView(
            checks=(
                Check(name="journal", status="pass", text="3 entries hold"),
                Check(name="clock", status="warn", text="2 s off", fix="switch on NTP"),
            )
        )

    async def peers(self) -> PeersView:
        row = PeerRow(
            peer="k7m2qfab",
            did=DID,
            endpoint="127.0.0.1:7401",
            connected=True,
            rtt_s=0.0123,
            blocked=bool(self.blocked),
        )
        return PeersView(peers=(row,))

    async def ping(self, peer: str, /) -> PingView:
        if peer != "k7m2qfab":
            raise UsageError(f"no peer {peer!r} is known; see: coalesced peers ls")
        return PingView(peer=peer, did=DID, endpoint="127.0.0.1:7401", rtt_s=0.0123)

    async def block(self, peer: str, /) -> OkView:
        self.blocked.add(peer)
        return OkView(text=f"{peer} is blocked")

    async def unblock(self, peer: str, /) -> OkView:
        self.blocked.discard(peer)
        return OkView(text=f"{peer} is no longer blocked")

    async def skills(self) -> SkillsView:
        rows = [SkillRow(label=label, caption=f"does {label}", unit="page") for label in SKILLS]
        sold = SkillRow(
            label="draws",
            caption="draws",
            unit="random draws",
            sold=True,
            example='{"it\'s": 1}',
            example_units=4_000_000,
            example_s=0.1,
            example_price_micro=300,
        )
        return SkillsView(skills=(*rows, sold))

    async def find_skill(self, label: str, /, *, max_price_micro: int | None = None) -> SellersView:
        rows = [
            SellerRow(
                peer="k7m2qfab",
                did=DID,
                endpoint="127.0.0.1:7401",
                caption="red \x1b[31malert\x1b[0m",
                price_hint_micro=price,
                load_ppm=250_000,
                expires_unix_ms=NOW_UNIX_MS,
            )
            for price in (900, 1200)
            if max_price_micro is None or price <= max_price_micro
        ]
        return SellersView(skill=label, sellers=tuple(rows))

    async def find_meaning(
        self,
        text: str,
        /,
        *,
        max_price_micro: int | None = None,
        min_trust_ppm: int = 0,
        needs: Sequence[str] = (),
    ) -> MatchesView:
        row = MatchRow(
            skill="nlp/upper",
            peer="k7m2qfab",
            did=DID,
            caption="red \x1b[31malert\x1b[0m",
            price_hint_micro=900,
            score_ppm=610_000,
            ontological_ppm=500_000,
            embedding_ppm=720_000,
            performance_ppm=500_000,
            success_ppm=min_trust_ppm or None,
            terms=tuple(needs),
        )
        is_affordable = max_price_micro is None or max_price_micro >= 900
        return MatchesView(
            text=text,
            captions=("language_processing",),
            about="about work \x1b[31m",
            matches=(row,) if is_affordable else (),
        )

    async def sell(self, request: SellRequest, /) -> OfferView:
        self.sell_request = request
        offer = OfferView(label=request.label or request.target, source=request.target, price_micro=request.price_micro)
        self.sold[offer.label] = offer
        return offer

    async def market(self, skill: str | None, /) -> MarketView:
        flag = MarketFlag(
            screen="cartel", text="prices may be agreed \x1b[31m", false_alarms_ppm=4_000, detected_ppm=10**6
        )
        row = MarketRow(
            skill=skill or "upper",
            rounds=30,
            sellers=3,
            quotes=90,
            variation_ppm=20_000,
            lowest_micro=900,
            highest_micro=1_200,
            awards=25,
            hhi=10_000,
            shares=(ShareRow(peer="k7m2qfab", awards=25, share_ppm=10**6),),
            flags=(flag,),
        )
        return MarketView(markets=(row,))

    async def offers(self) -> OffersView:
        return OffersView(offers=tuple(self.sold.values()))

    async def unsell(self, label: str, /) -> OkView:
        if self.sold.pop(label, None) is None:
            raise UsageError(f"{label!r} is not on sale; see: coalesced sell ls")
        return OkView(text=f"{label} is no longer on sale")

    # --- tasks ---

    async def ask(self, request: AskRequest, /) -> AsyncIterator[EventView]:
        self.asked = request
        if request.skill == "bug":
            raise RuntimeError("a bug, on purpose")
        if request.skill not in SKILLS:
            raise UsageError(f"no skill {request.skill!r}; nearest: upper, slow")
        task_id = hashlib.sha256(f"{len(self.by_id)}".encode()).hexdigest()[:16]
        self.by_id[task_id] = TaskView(id=task_id, state="submitted", skill=request.skill, created_unix_ms=NOW_UNIX_MS)
        self.histories[task_id] = []
        await self._happen(task_id, "submitted", task=self.by_id[task_id])
        self._workers.add(asyncio.ensure_future(self._work(task_id, request)))
        async for event in self.watch(task_id):
            yield event

    async def _work(self, task_id: str, request: AskRequest) -> None:
        text = request.text + "".join(file.data.decode() for file in request.files)
        decision = await self.decide(request)
        await self._happen(task_id, "decided", decision=decision, text="k7m2qfab, verification cheap")
        if request.skill == "slow":
            await self._happen(task_id, "progress", done_ppm=400_000, text="reading \x1b]0;page\x07 2 of 5")
            await self.release.wait()
        if request.skill == "quiz":
            await self._change(task_id, state="input-required", question="Which year?")
            await self._happen(task_id, "input_required", question="Which year?")
            await self.answered.wait()
        if self.by_id[task_id].state == "cancelled":
            return
        if request.skill == "refuse":
            error = TaskError(code="verification_failed", text="the figures do not add up", exit_code=7)
            await self._end(task_id, "failed", error=error)
            return
        data = text.upper().encode()
        self.results[task_id] = (data, "text/plain")
        info = ResultInfo(media_type="text/plain", size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        await self._end(
            task_id,
            "completed",
            result=info,
            cost_micro=1200,
            local_micro=7100,
            saving_micro=5900,
            peer="k7m2qfab",
            choice="outsource",
        )

    async def _change(self, task_id: str, **fields: object) -> None:
        async with self.changed:
            self.by_id[task_id] = msgspec.structs.replace(self.by_id[task_id], **fields)
            self.changed.notify_all()

    async def _end(self, task_id: str, state: TaskState, **fields: object) -> None:
        await self._change(task_id, state=state, finished_unix_ms=NOW_UNIX_MS + 1500, **fields)
        name: EventName = "completed" if state == "completed" else "cancelled" if state == "cancelled" else "failed"
        await self._happen(task_id, name, task=self.by_id[task_id])

    async def _happen(self, task_id: str, name: EventName, **fields: object) -> None:
        async with self.changed:
            event = EventView(name=name, at_unix_ms=NOW_UNIX_MS, task_id=task_id, **fields)  # type: ignore[arg-type]
            self.histories[task_id].append(event)
            self.changed.notify_all()

    async def decide(self, request: AskRequest, /) -> DecisionView:
        self.asked = request
        return DecisionView(
            skill=request.skill,
            choice="outsource",
            contractor="k7m2qfab",
            level="cheap",
            options=OPTIONS,
            reasons=("Local wins if its p95 falls under 9 s.",),
            local_micro=7100,
            saving_micro=4800,
        )

    async def tasks(self, *, limit: int, state: TaskState | None = None) -> TasksView:
        chosen = [task for task in self.by_id.values() if state in (None, task.state)]
        return TasksView(tasks=tuple(reversed(chosen))[:limit])

    async def task(self, task_id: str, /) -> TaskView:
        return self._known(task_id)

    def _known(self, task_id: str) -> TaskView:
        if task_id not in self.by_id:
            raise UsageError(f"no task {task_id!r}; see: coalesced task ls")
        return self.by_id[task_id]

    async def watch(self, task_id: str, /) -> AsyncIterator[EventView]:
        history = self.histories[self._known(task_id).id]
        seen = 0
        self.open_streams += 1
        try:
            while True:
                async with self.changed:
                    while len(history) <= seen:
                        await self.changed.wait()
                yield history[seen]
                if history[seen].name in ("completed", "failed", "cancelled"):
                    return
                seen += 1
        finally:
            self.open_streams -= 1
            self.left.set()

    async def cancel(self, task_id: str, /) -> TaskView:
        self._known(task_id)
        if self.holds_cancel:
            await asyncio.Event().wait()
        await self._end(task_id, "cancelled", error=TaskError(code="cancelled", text="you cancelled it", exit_code=130))
        self.release.set()
        return self.by_id[task_id]

    async def answer(self, task_id: str, text: str, /) -> TaskView:
        if self._known(task_id).state != "input-required":
            raise NodeError(f"task {task_id} waits for no answer: it is {self._known(task_id).state}")
        self.answered.set()
        await self._change(task_id, state="working", question="")
        return self.by_id[task_id]

    async def result(self, task_id: str, /) -> tuple[bytes, str]:
        self._known(task_id)
        if task_id not in self.results:
            raise NodeError(f"task {task_id} has no result")
        return self.results[task_id]

    async def receipt(self, task_id: str, /) -> ReceiptView:
        return ReceiptView(
            id="00" * 16,
            task_id=task_id,
            skill=self._known(task_id).skill,
            client="aaaaaaaa",
            client_did=DID,
            contractor="k7m2qfab",
            contractor_did=DID,
            price_micro=1200,
            started_unix_ms=NOW_UNIX_MS,
            finished_unix_ms=NOW_UNIX_MS + 1500,
            level="cheap",
            verdict="accepted",
            countersigned=True,
            digest="ab" * 32,
        )

    async def replay(self, task_id: str, /, *, number: int | None, what_if: Sequence[str]) -> ReplayView:
        task = self._known(task_id)
        decision = await self.decide(AskRequest(skill=task.skill, what_if=tuple(what_if)))
        return ReplayView(task_id=task_id, number=number or 1, same=True, inputs_sha256="ab" * 32, decision=decision)

    async def why(self, task_id: str, /) -> WhyView:
        task = self._known(task_id)
        decision = await self.decide(AskRequest(skill=task.skill))
        timeline = tuple(
            TimelineRow(after_s=0.1 * at, name=event.name, text=event.text)
            for at, event in enumerate(self.histories[task_id])
        )
        return WhyView(task=task, decision=decision, timeline=timeline, tried=("zzzzzzzz: refused, busy",))

    # --- the journal, and the end ---

    async def journal_tail(self, limit: int, /) -> JournalView:
        rows = [
            JournalRow(height=height, at_unix_ms=NOW_UNIX_MS, kind="receipt", text="upper", digest="cd" * 32)
            for height in range(3)
        ]
        return JournalView(height=3, entries=tuple(rows[-limit:]))

    async def journal_show(self, height: int, /) -> JournalEntryView:
        if height >= 3:
            raise UsageError(f"the journal has 3 entries, from 0 to 2; there is no {height}")
        return JournalEntryView(
            height=height,
            at_unix_ms=NOW_UNIX_MS,
            kind="receipt",
            previous="",
            digest="cd" * 32,
            body={"skill": "upper"},
        )

    async def journal_verify(self) -> VerifyView:
        return VerifyView(ok=True, checked=3, head="cd" * 32)

    async def events(self) -> AsyncIterator[EventView]:
        yield EventView(
            name="peer_connected", at_unix_ms=NOW_UNIX_MS, peer="k7m2qfab", text="k7m2qfab at 127.0.0.1:7401"
        )
        await asyncio.Event().wait()

    async def reload(self) -> OkView:
        return OkView(text="read again; nothing changed")

    async def stop(self, *, drain: bool) -> OkView:
        self.stopped = drain
        self.on_stop()
        return OkView(text="stopping")
