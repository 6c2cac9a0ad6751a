"""Looks at every node beside its life and puts what the rules say into one list; what happens goes into the trace."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from coalesced.sim.checkers import bounds, money, records, results
from coalesced.sim.checkers.evidence import CLIENT, Facts, News, TaskFacts, refresh
from coalesced.sim.loop import SimLoop
from coalesced.sim.node import SimNode
from node.daemon import Parts
from node.errors import NodeError
from node.execute.inline import BuiltinWork
from node.store.blobs import Part
from node.store.spending import day_of
from node.tasks.content import Content
from node.views import EventView
from protocol.packing import unpack
from protocol.specification import Specification

SETTLING_S = 20.0
"""What is left of a check and its writing down when the task has ended before, and two looks for what nobody is at."""
GRACE_S = 5.0
"""A task may end so much after its deadline: cancelling tells the other side, and is written down."""
REPAIR_S = 12.0
"""What could not be written while a disk was full is, so long after: a node looks for it every five seconds, twice."""
LOOKED_INTO = frozenset({"submitted", "receipt", "completed"})
"""After these events a node is looked at at once: an order of writes shows only in between."""
MAX_VIOLATIONS = 200
NOTHING = News(is_any=False)
PARTS: tuple[Part, ...] = ("input", "result")


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be: when (virtual seconds), at which node, what."""

    at_s: float
    node: int
    text: str

    def __str__(self) -> str:
        return f"{self.at_s:.3f} s, node {self.node}: {self.text}"


@dataclass(slots=True)
class _Seen:
    """What is remembered of one node."""

    facts: Facts
    due_s: dict[bytes, float] = field(default_factory=dict)
    """When the unfinished tasks have to be over, by this world's clock."""
    interrupted: set[bytes] = field(default_factory=set)
    judged: set[bytes] = field(default_factory=set)
    outliving_s: dict[tuple[bytes, bytes], float] = field(default_factory=dict)
    """Since when promises are seen open whose tasks have ended."""
    writable_s: float = 0.0
    """Until then, what this node writes may have met a full disk."""


class Watch:
    """The checkers of one world. `violations` stays empty, or the run has failed."""

    def __init__(self, loop: SimLoop, nodes: Sequence[SimNode], work: BuiltinWork) -> None:
        self.violations: list[Violation] = []
        self.ends: dict[str, int] = {}
        """Tasks of owners by how they ended."""
        self.hired = 0
        self._loop = loop
        self._nodes = nodes
        self._work = work
        self._seen: dict[int, _Seen] = {}
        self._facts: dict[bytes, Facts] = {}
        self._by_key: dict[bytes, SimNode] = {}
        self._dishonest: set[bytes] = set()
        self._told: set[tuple[int, str]] = set()
        self._wanted: dict[int, SimNode] = {}
        self._is_wanted = asyncio.Event()

    def add(self, node: SimNode) -> None:
        """Watch this node from now on."""
        key = node.profile.identity.public_key
        self._by_key[key] = node
        self._facts[key] = Facts(key)
        self._seen[node.profile.number] = _Seen(self._facts[key])
        if node.profile.fabricates:
            self._dishonest.add(key)

    def report(self, node: int, text: str) -> None:
        """Something must not be; told once."""
        if (node, text) not in self._told and len(self.violations) < MAX_VIOLATIONS:
            self._told.add((node, text))
            self.violations.append(Violation(self._loop.time(), node, text))

    # --- what happens to nodes

    def happened(self, node: SimNode, event: EventView) -> None:
        """An event of a node: into the trace; some are looked into at once."""
        name = f"event {node.profile.number} {event.name}"
        self._loop.network.trace.note(self._loop.time(), name, msgspec.json.encode(event))
        if event.name in LOOKED_INTO:
            self._wanted[node.profile.number] = node
            self._is_wanted.set()

    async def started(self, node: SimNode) -> None:
        """A process has started: its journal holds, and whatever was under way before has ended."""
        seen = self._seen[node.profile.number]
        seen.due_s = {task_id: min(due_s, self._loop.time()) for task_id, due_s in seen.due_s.items()}
        if node.parts is not None:
            await self._verify_journal(node, node.parts)
            await self.look_at(node)
            self.excuse(node)

    def excuse(self, node: SimNode) -> None:
        """The process is about to end, has ended, or cannot write: what was under way may leave no receipt."""
        seen = self._seen[node.profile.number]
        seen.interrupted |= {row.task_id for row in seen.facts.tasks.values() if row.finished_unix_ms is None}
        seen.interrupted |= set(records.undocumented(seen.facts))

    def same_task(self, node: SimNode, first: bytes, second: bytes) -> None:
        """The same request under the same key must be the same task."""
        if first != second:
            text = f"one idempotency key gave two tasks, {first.hex()[:8]} and {second.hex()[:8]}"
            self.report(node.profile.number, text)

    # --- looking

    async def look_into_events(self) -> None:
        """For ever: look at each node at once after an event that calls for it."""
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            wanted, self._wanted = self._wanted, {}
            for node in wanted.values():
                await self.look_at(node)

    async def look_at_all(self, *, at_rest: bool = False) -> None:
        """Every node, at one moment. `at_rest`: nothing is under way, so nothing may be left over."""
        changed = [node for node in self._nodes if (await self._read(node)).is_any]
        for node in changed:
            await self._judge(node)
        tasks = self._loop.tasks_by_owner()
        for node in self._nodes:
            number = node.profile.number
            if node.life is not None and node.parts is not None:
                self._report_all(number, self._late(node, self._seen[number]))
                self._report_all(number, self._left_open(self._seen[number], 0.0 if at_rest else SETTLING_S))
                count = tasks.get(node.life.name, 0)
                self._report_all(number, bounds.stays_bounded(count, node.parts))
            if at_rest and node.life is not None and node.parts is not None:
                number = node.profile.number
                self._report_all(number, bounds.is_at_rest(tasks[node.life.name], node.parts))
                await self._verify_journal(node, node.parts)
                rows = self._seen[number].facts.tasks.values()
                left = (row for row in rows if row.finished_unix_ms is None)
                seen = self._seen[number]
                self._report_all(number, records.jobs_are_documented(seen.facts, seen.interrupted))
                self._report_all(number, (f"{row.role} task {row.task_id.hex()[:8]} never ended" for row in left))

    async def look_at(self, node: SimNode) -> None:
        """One node and whoever has a part in what changed there."""
        for key in sorted((await self._read(node)).parties):
            if (other := self._by_key.get(key)) is not None and other is not node:
                await self._read(other)
        await self._judge(node)

    async def _read(self, node: SimNode) -> News:
        """Read what is new at a node that runs."""
        seen, number = self._seen[node.profile.number], node.profile.number
        if node.life is not None and node.life.failure is not None:
            self.report(number, f"its daemon ended by itself: {node.life.failure!r}")
        if node.parts is None:
            return NOTHING
        try:
            news = await refresh(seen.facts, node.parts)
        except NodeError:
            return NOTHING  # It is closing its files just now.
        if news.fault:
            self.report(number, news.fault)
        return news

    async def _judge(self, node: SimNode) -> None:
        """Every rule that a moment's facts can break."""
        if node.life is None or node.parts is None:
            return
        number, seen = node.profile.number, self._seen[node.profile.number]
        facts, caps = seen.facts, node.parts.store.spending.caps
        for found in (
            money.pays_once(facts),
            money.caps_hold(facts, caps, day_of(node.unix_ms())),
            money.quotes_bind(facts, self._facts),
            money.payments_count(facts) if self._loop.time() >= seen.writable_s else (),
            records.awards_come_first(facts, self._facts),
            records.receipts_are_signed(facts, self._facts),
            records.the_honest_are_not_accused(facts, self._dishonest),
        ):
            self._report_all(number, found)
        await self._judge_results(node)

    def _late(self, node: SimNode, seen: _Seen) -> Iterable[str]:
        """Tasks that have not ended by their deadline and the grace; a disk that was full excuses for a while."""
        now_s = self._loop.time()
        if node.disk.is_full:
            seen.writable_s = now_s + REPAIR_S
            self.excuse(node)
        unfinished = {row.task_id: row for row in seen.facts.tasks.values() if row.finished_unix_ms is None}
        seen.due_s = {task_id: due_s for task_id, due_s in seen.due_s.items() if task_id in unfinished}
        for task_id, row in unfinished.items():
            allowed_s = (row.deadline_unix_ms - row.created_unix_ms) / 1000
            due_s = seen.due_s.setdefault(task_id, now_s + allowed_s)
            if now_s > max(due_s + GRACE_S, seen.writable_s):
                yield f"{row.role} task {task_id.hex()[:8]} is {row.state} after its deadline of {allowed_s:g} s"

    def _left_open(self, seen: _Seen, allowed_s: float) -> Iterable[str]:
        """Promises of money that are open so long after their tasks have ended."""
        now_s = self._loop.time()
        left = {(promise.task_id, promise.peer) for promise in money.outlives_its_task(seen.facts)}
        seen.outliving_s = {promise: seen.outliving_s.get(promise, now_s) for promise in sorted(left)}
        for (task_id, peer), since_s in seen.outliving_s.items():
            if now_s >= max(since_s + allowed_s, seen.writable_s):
                yield f"the promise to {peer.hex()[:8]} is open though task {task_id.hex()[:8]} has ended"

    async def _judge_results(self, node: SimNode) -> None:
        """Each completed task of an owner, once."""
        seen, parts = self._seen[node.profile.number], node.parts
        ended = [
            row
            for row in seen.facts.tasks.values()
            if row.role == CLIENT and row.finished_unix_ms is not None and row.task_id not in seen.judged
        ]
        for row in ended:
            seen.judged.add(row.task_id)
            self.ends[row.state] = self.ends.get(row.state, 0) + 1
            if row.state == "completed" and parts is not None:
                try:
                    await self._judge_result(node.profile.number, seen.facts, row, parts)
                except NodeError:
                    seen.judged.discard(row.task_id)  # It is closing its files just now.

    async def _judge_result(self, number: int, facts: Facts, row: TaskFacts, parts: Parts) -> None:
        events = list(await parts.tasks.events(row.task_id))
        self._report_all(number, results.is_verified(row, facts, events))
        self.hired += bool(facts.book.offers_of_tasks().get(row.task_id))
        kept = {use.part: use for use in await parts.store.blobs.of_task(row.task_id)}
        if not kept.keys() >= {*PARTS}:
            return
        given, got = [Content(kept[part].media_type, await parts.store.blobs.get(kept[part].sha256)) for part in PARTS]
        specification = unpack(Specification, (await parts.store.tasks.get(row.task_id)).specification)
        self._report_all(number, results.is_right(row, events, specification, given, got, self._work))

    async def _verify_journal(self, node: SimNode, parts: Parts) -> None:
        if broken := await parts.store.journal.verify(parts.env.offload):
            self.report(node.profile.number, str(broken))

    def _report_all(self, node: int, texts: Iterable[str]) -> None:
        for text in texts:
            self.report(node, text)
