"""The checks that need a running node, each with a time limit of its own."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

from crypto.identity import short_id
from node.daemon import Daemon
from node.errors import NodeError
from node.execute.job import Job
from node.net.endpoint import endpoint
from node.owner.ledger import brief
from node.owner.machine import described, devices
from node.owner.registries import registry_problems
from node.views import AgentSource, Check, CheckStatus, DoctorView, ModelSource
from node.wording import counted

CHECK_TIMEOUT_S = 10.0
OUTSIDE_TIMEOUT_S = 30.0
"""Of one thing outside: the server of a tool is started, with its interpreter and packages."""
LEAST_FREE_BYTES = 200 * 2**20
GOOD_ERROR = 0.25
"""A predicted time that is off by more than this, on average, makes decisions coarse."""
Outcome = tuple[CheckStatus, str, str]
SAMPLE = "The service was good."


class Doctor:
    """Examines one node."""

    def __init__(
        self, daemon: Daemon, home: Path | None, outside: Mapping[str, Callable[[], Awaitable[Outcome]]] | None = None
    ) -> None:
        """`outside`: further checks, by name, of what this part of the node knows nothing of."""
        self._daemon = daemon
        self._home = home
        self._outside = outside or {}

    async def examine(self) -> DoctorView:
        """All checks, one after the other: they share two cores with the work."""
        checks: list[tuple[str, Callable[[], Awaitable[Outcome]]]] = [
            ("disk", self._disk),
            ("journal", self._journal),
            ("ledger", self._ledger),
            ("network", self._network),
            ("reach", self._reach),
            ("registries", self._registries),
            ("worker", self._worker),
            ("predictions", self._predictions),
            ("machine", self._machine),
            ("offers", self._offers),
        ]
        outside: list[tuple[str, Callable[[], Awaitable[Outcome]]]] = [
            ("models", lambda: self._elsewhere(ModelSource)),
            ("agents on sale", lambda: self._elsewhere(AgentSource)),
            *self._outside.items(),
        ]
        within = [await _timed(name, check, CHECK_TIMEOUT_S) for name, check in checks]
        return DoctorView(
            checks=(*within, *[await _timed(name, check, 2 * OUTSIDE_TIMEOUT_S) for name, check in outside])
        )

    async def _disk(self) -> Outcome:
        if self._home is None:
            return "skip", "nothing is kept on disk", ""
        free = shutil.disk_usage(self._home).free
        status: CheckStatus = "pass" if free >= LEAST_FREE_BYTES else "fail"
        return status, f"{free // 2**20} MiB free in {self._home}", "" if status == "pass" else "free some space"

    async def _journal(self) -> Outcome:
        broken = await self._daemon.parts.store.journal.check_end()
        if broken is not None:
            return "fail", str(broken), "coalesced journal verify"
        height = await self._daemon.parts.store.journal.height()
        return "pass", f"{counted(height, 'entry', 'entries')}, its end is as signed", ""

    async def _ledger(self) -> Outcome:
        community = self._daemon.parts.community
        ledger, standing = brief(community), community.standing
        if ledger is None or standing is None:
            return "skip", "ledger.enabled is false", ""
        if standing.problem:
            return "fail", f"it {standing.complaint}", ""
        if not ledger.role:
            return "skip", ledger.problem or "it is still being read", ""
        text = f"{ledger.role} at height {ledger.height}, {counted(ledger.members, 'member')}, f={ledger.tolerates}"
        if standing.unreachable:
            names = ", ".join(map(short_id, standing.unreachable))
            return "warn", f"{text}; not reached: {names}", "see that these members run and can be reached"
        return ("warn", f"{text}; {ledger.lag} behind", "") if ledger.lag else ("pass", text, "")

    async def _network(self) -> Outcome:
        contacts = len(self._daemon.parts.discovery.contacts())
        if contacts:
            return "pass", f"{counted(contacts, 'node')} known", ""
        if self._daemon.bootstrap:
            where = ", ".join(str(one) for one in self._daemon.bootstrap)
            return "warn", f"none of {where} answers", "start that node, or check its address and --network"
        return "pass", "alone, which is fine: tasks are done here", ""

    async def _reach(self) -> Outcome:
        """Dial the first contact: shows that the encrypted channel works, not only datagrams."""
        contacts = self._daemon.parts.discovery.contacts()
        if not contacts:
            return "skip", "no other node is known", ""
        contact = contacts[0]
        session = await self._daemon.parts.peers.session(contact.public_key, endpoint(contact.host, contact.port))
        rtt_s = await session.probe(CHECK_TIMEOUT_S)
        return "pass", f"{short_id(contact.public_key)} answers in {rtt_s * 1000:.1f} ms", ""

    async def _registries(self) -> Outcome:
        tallies = self._daemon.parts.sources.tallies
        if not tallies:
            return "skip", "none is used (registry.use)", ""
        for problem in registry_problems(tallies):
            return "warn", problem.text, problem.fix
        said = (
            f"{address}: keeps {counted(tally.kept, 'record')} of ours, {counted(tally.compared, 'record')} compared"
            for address, tally in tallies.items()
        )
        return "pass", "; ".join(said), ""

    async def _worker(self) -> Outcome:
        job = Job("sentiment", SAMPLE.encode(), "text/plain", effort="cheapest", timeout_s=CHECK_TIMEOUT_S)
        execution = await self._daemon.parts.executor.run(job)
        return "pass", f"a worker process did a task in {execution.wall_s * 1000:.1f} ms", ""

    async def _predictions(self) -> Outcome:
        errors = self._daemon.parts.work.errors()
        if not errors:
            return "skip", "nothing was measured yet", ""
        text = ", ".join(f"{key} {error:.0%} off after {counted(runs, 'run')}" for key, (runs, error) in errors.items())
        known = [error for runs, error in errors.values() if runs >= 20]
        return "warn" if any(error > GOOD_ERROR for error in known) else "pass", text, ""

    async def _machine(self) -> Outcome:
        text, advice = described(self._daemon.parts.work.rates.gpu, await asyncio.to_thread(devices))
        return "pass", text, advice

    async def _offers(self) -> Outcome:
        for label, problem in self._daemon.parts.sales.problems.items():
            return "fail", f"{label}: {problem}", f"coalesced sell rm {label}"
        wares = self._daemon.parts.shop.wares
        return ("pass", f"{counted(len(wares), 'skill')} on sale", "") if wares else ("skip", "nothing is on sale", "")

    async def _elsewhere(self, kind: type[ModelSource | AgentSource]) -> Outcome:
        """Whether whatever does sold work elsewhere is there, takes this node's credentials and has a known price."""
        sales = self._daemon.parts.sales
        sold = [one for one in await sales.remembered() if isinstance(one.remote, kind)]
        return await all_of(
            {one.label: partial(sales.check, one) for one in sold}, "start it, or name another with coalesced sell"
        )


async def all_of(checks: Mapping[str, Callable[[], Awaitable[None]]], fix: str) -> Outcome:
    """The outcome of several checks at once, each of which raises a NodeError that says what is wrong."""
    if not checks:
        return "skip", "none is configured", ""
    found = await asyncio.gather(*(_problem(check) for check in checks.values()))
    wrong = [f"{name}: {problem}" for name, problem in zip(checks, found, strict=True) if problem]
    if wrong:
        return "fail", "; ".join(wrong), fix
    return "pass", f"{', '.join(checks)}: in order", ""


async def _problem(check: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(OUTSIDE_TIMEOUT_S):
            await check()
    except NodeError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {OUTSIDE_TIMEOUT_S:g} s"
    return ""


async def _timed(name: str, check: Callable[[], Awaitable[Outcome]], limit_s: float) -> Check:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(limit_s):
            status, text, fix = await check()
    except TimeoutError:
        status, text, fix = "fail", f"no answer within {limit_s:g} s", "coalesced tail"
    except NodeError as error:
        status, text, fix = "fail", str(error), ""
    return Check(name=name, status=status, text=text, fix=fix, took_s=time.perf_counter() - began)
