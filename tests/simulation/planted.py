"""Bugs that are planted into one function each, to show that the checkers find them. Test-only.

A bug is a wrapper round the function as it is: everything else in the world stays as it was.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from coalesced.config import Config
from coalesced.sim import node as sim_node
from coalesced.sim.profile import config_of
from coalesced.sim.runner import Outcome, simulate
from coalesced.sim.world import Plan
from node.ledger.journal import Entry, JournalRecord, next_entry
from node.outsource.client.attempt import Attempts
from node.outsource.client.course import Course
from node.outsource.client.outcome import Done, Failed
from node.outsource.contractor.contractor import Contractor
from node.outsource.contractor.intake import Intake
from node.outsource.localwork import LocalWork
from node.outsource.orphans import Orphans
from node.outsource.tasklog import TaskLog
from node.store import journal_store, spending, tasks
from node.store.journal_store import Journal
from node.tasks.verify import FULL_SCORE_PPM, Judgement
from protocol import receipts
from protocol.packing import unpack
from protocol.receipts import Receipt
from protocol.signed import ReceiptTerms

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """What is wrong, where, and what the checkers say of it within `seeds` worlds from seed 1 on."""

    name: str
    owner: Any
    function: str
    wrap: Wrap
    found_as: str
    faults: tuple[str, ...] = ()
    seeds: int = 3
    nodes: int = 6
    minutes: float = 0.5
    configure: Callable[[Config], Config] | None = None

    @property
    def where(self) -> str:
        """The function, as a table shows it."""
        return f"{self.owner.__name__.rpartition('.')[2]}.{self.function}"


def hunt(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> tuple[int, Outcome]:
    """Plant the bug and run world after world until a checker speaks; how many it took, and the last one."""
    monkeypatch.setattr(bug.owner, bug.function, bug.wrap(getattr(bug.owner, bug.function)))
    if (configure := bug.configure) is not None:
        monkeypatch.setattr(sim_node, "config_of", lambda profile: configure(config_of(profile)))
    outcome = None
    for seed in range(1, bug.seeds + 1):
        outcome = simulate(Plan(seed=seed, nodes=bug.nodes, minutes=bug.minutes, faults=bug.faults))
        if any(bug.found_as in violation.text for violation in outcome.violations):
            return seed, outcome
    assert outcome is not None
    raise AssertionError(f"{bug.name}: not found in {bug.seeds} worlds; the last one: {outcome} {outcome.violations}")


# --- money


def _forget_that_it_was_done(original: Callable[..., Any]) -> Callable[..., Any]:
    forgotten: set[bytes] = set()

    async def attempt(self: Course, ask: Any, survey: Any, decision: Any, *rest: Any) -> Done | Failed:
        outcome: Done | Failed = await original(self, ask, survey, decision, *rest)
        if isinstance(outcome, Done) and decision.contractor is not None and ask.task_id not in forgotten:
            forgotten.add(ask.task_id)
            return Failed("failed", "a result came, and was forgotten")
        return outcome

    return attempt


def _nothing_used(original: Callable[..., Any]) -> Callable[..., Any]:
    def used(*_: Any) -> int:
        return 0

    return used


def _forgetting_payments(original: Callable[..., Any]) -> Callable[..., Any]:
    async def end_all(self: Orphans) -> None:
        await original(self)
        database = self._promises._spending._database
        await database.write(lambda connection: connection.execute("DELETE FROM spending").rowcount)

    return end_all


def _doing_nothing(original: Callable[..., Any]) -> Callable[..., Any]:
    def nothing(*_: Any, **__: Any) -> bool:
        return True

    return nothing


def _awaited_nothing(original: Callable[..., Any]) -> Callable[..., Any]:
    async def nothing(*_: Any, **__: Any) -> bool:
        return True

    return nothing


def _invoicing_twice_the_quote(original: Callable[..., Any]) -> Callable[..., Any]:
    def check(self: Contractor, client: bytes, award: Any) -> Any:
        quote, specification = original(self, client, award)
        return replace(quote, price_micro=2 * quote.price_micro + 1), specification

    return check


def _whatever_the_time(original: Callable[..., Any]) -> Callable[..., Any]:
    def check(self: Contractor, client: bytes, award: Any) -> Any:
        env = self._env
        try:
            self._env = type(env)(unix_ms=lambda: 0, rng=env.rng, entropy=env.entropy, offload=env.offload)
            return original(self, client, award)
        finally:
            self._env = env

    return check


def _quotes_of_a_moment(config: Config) -> Config:
    return replace(config, contractor=replace(config.contractor, quote_valid_s=0.25))


def _little_trust(config: Config) -> Config:
    return replace(config, caps=replace(config.caps, peer_micro=12))


def _short_purse(config: Config) -> Config:
    return replace(config, caps=replace(config.caps, day_micro=8))


# --- records


def _nowhere(kind: str, body: bytes, unix_ms: int) -> Entry:
    return next_entry(1, bytes(32), unix_ms, kind, body)  # type: ignore[arg-type]


def _awards_later(original: Callable[..., Any]) -> Callable[..., Any]:
    async def later(self: Journal, kind: str, body: bytes, unix_ms: int, **filed: Any) -> None:
        await asyncio.sleep(5)
        await original(self, kind, body, unix_ms, **filed)

    async def append(self: Journal, kind: str, body: bytes, unix_ms: int, **filed: Any) -> Entry:
        if kind == "award":
            self.late = asyncio.create_task(later(self, kind, body, unix_ms, **filed))  # type: ignore[attr-defined]
            return _nowhere(kind, body, unix_ms)
        entry: Entry = await original(self, kind, body, unix_ms, **filed)
        return entry

    return append


def _losing_receipts(original: Callable[..., Any]) -> Callable[..., Any]:
    async def append(self: Journal, kind: str, body: bytes, unix_ms: int, **filed: Any) -> Entry:
        if kind == "receipt" and self.owner == unpack(ReceiptTerms, unpack(JournalRecord, body).terms).contractor:
            return _nowhere(kind, body, unix_ms)
        entry: Entry = await original(self, kind, body, unix_ms, **filed)
        return entry

    return append


def _dropping_notes(original: Callable[..., Any]) -> Callable[..., Any]:
    def append(connection: Any, owner: bytes, kind: str, body: bytes, unix_ms: int, *names: bytes | None) -> Entry:
        if kind == "note":
            return _nowhere(kind, body, unix_ms)
        entry: Entry = original(connection, owner, kind, body, unix_ms, *names)
        return entry

    return append


def _with_one_signature(original: Callable[..., Any]) -> Callable[..., Any]:
    def complete(offer: Any, contractor_signature: bytes) -> Receipt:
        return Receipt(offer.terms, offer.body, offer.signature, bytes(64))

    return complete


# --- results and tasks


def _always_good(original: Callable[..., Any]) -> Callable[..., Any]:
    async def verify(self: LocalWork, *_: Any, **__: Any) -> Judgement:
        return Judgement(accepted=True, score_ppm=FULL_SCORE_PPM)

    return verify


def _only_the_form(original: Callable[..., Any]) -> Callable[..., Any]:
    async def judge(self: Attempts, ask: Any, delivered: Any, level: str, remaining_s: float) -> Judgement:
        judgement: Judgement = await original(self, ask, delivered, "none", remaining_s)
        return judgement

    return judge


def _failures_untold(original: Callable[..., Any]) -> Callable[..., Any]:
    async def end(self: TaskLog, task_id: bytes, to: str, *rest: Any, **fields: Any) -> Any:
        if to == "failed":
            return await self.view(task_id)
        return await original(self, task_id, to, *rest, **fields)

    return end


def _a_new_task_each_time(original: Callable[..., Any]) -> Callable[..., Any]:
    def insert(connection: Any, row: Any) -> Any:
        return original(connection, replace(row, idempotency_key=None))

    return insert


BUGS = (
    Bug(
        name="a task is done and paid a second time",
        owner=Course,
        function="_attempt",
        wrap=_forget_that_it_was_done,
        found_as="signed to be paid 2 times",
    ),
    Bug(
        name="what was spent today is not counted",
        owner=spending,
        function="day_used_micro",
        wrap=_nothing_used,
        found_as="on day",
        configure=_short_purse,
        minutes=1.0,
    ),
    Bug(
        name="what one peer may cost is not counted",
        owner=spending,
        function="peer_exposure_micro",
        wrap=_nothing_used,
        found_as="an exposure of",
        configure=_little_trust,
        minutes=1.0,
        seeds=8,
    ),
    Bug(
        name="a restart forgets what was paid",
        owner=Orphans,
        function="end_all",
        wrap=_forgetting_payments,
        found_as="do not count as paid",
        faults=("crash", "restart"),
        minutes=1.0,
    ),
    Bug(
        name="a payment is not recorded",
        owner=spending,
        function="settle",
        wrap=_doing_nothing,
        found_as="is open though task",
    ),
    Bug(
        name="a promise of money is never given back",
        owner=spending,
        function="release",
        wrap=_doing_nothing,
        found_as="is open though task",
        faults=("cut", "partition"),
        minutes=1.0,
    ),
    Bug(
        name="a contractor invoices more than it quoted",
        owner=Contractor,
        function="_check_award",
        wrap=_invoicing_twice_the_quote,
        found_as="an honest contractor",
    ),
    Bug(
        name="an expired quote is accepted",
        owner=Contractor,
        function="_check_award",
        wrap=_whatever_the_time,
        found_as="by a quote that had expired",
        configure=_quotes_of_a_moment,
    ),
    Bug(
        name="an award is sent before it is journaled",
        owner=Journal,
        function="append",
        wrap=_awards_later,
        found_as="holds no award to this node",
    ),
    Bug(
        name="a contractor loses its receipts",
        owner=Journal,
        function="append",
        wrap=_losing_receipts,
        found_as="is not in its contractor's journal",
    ),
    Bug(
        name="a journal drops what was delivered",
        owner=journal_store,
        function="_append",
        wrap=_dropping_notes,
        found_as="for a quote that its contractor does not know",
    ),
    Bug(
        name="a receipt with one signature is taken",
        owner=receipts,
        function="complete_receipt",
        wrap=_with_one_signature,
        found_as="does not bear both parties' signatures",
    ),
    Bug(
        name="a result is accepted unverified",
        owner=LocalWork,
        function="verify",
        wrap=_always_good,
        found_as="was accepted at level",
        minutes=1.0,
    ),
    Bug(
        name="a result is verified at a lower level than decided",
        owner=Attempts,
        function="_judge",
        wrap=_only_the_form,
        found_as="was to be verified at level",
    ),
    Bug(
        name="a failed task never ends",
        owner=TaskLog,
        function="end",
        wrap=_failures_untold,
        found_as="after its deadline",
        faults=("crash", "cut", "partition"),
        minutes=1.0,
    ),
    Bug(
        name="a restart leaves tasks open",
        owner=Orphans,
        function="end_all",
        wrap=_awaited_nothing,
        found_as="after its deadline",
        faults=("crash",),
        minutes=1.0,
    ),
    Bug(
        name="an idempotency key is ignored",
        owner=tasks,
        function="insert",
        wrap=_a_new_task_each_time,
        found_as="one idempotency key gave two tasks",
    ),
    Bug(
        name="finished jobs stay in memory",
        owner=Intake,
        function="close",
        wrap=_doing_nothing,
        found_as="jobs wait for input though nothing is under way",
    ),
)
