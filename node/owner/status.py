"""The owner's view of the node itself: one screen, problems last, each with the command that fixes it."""

import asyncio
import os
from collections.abc import Iterable

from crypto.identity import did_key, short_id
from node.daemon import Daemon
from node.owner.ledger import brief
from node.owner.priors import maker_problems
from node.owner.registries import registry_problems
from node.owner.skills import skills_view
from node.tasks.lifecycle import TRANSITIONS
from node.views import Problem, SkillsView, StatusView
from node.wording import counted, usd

NEARLY = 0.9
"""A cap that is used to this share is worth a word."""


class StatusDesk:
    """Status, skills and metrics."""

    def __init__(self, daemon: Daemon, *, version: str, home: str, roles: tuple[str, ...] = ()) -> None:
        """`roles`: see `StatusView.roles`."""
        self._daemon = daemon
        self._version = version
        self._home = home
        self._roles = roles
        self.openai_url = ""
        """Where OpenAI clients are served; whoever opens that door says so here."""
        self._started_at = asyncio.get_running_loop().time()

    async def status(self) -> StatusView:
        """Everything at a glance."""
        daemon, parts = self._daemon, self._daemon.parts
        now = parts.env.unix_ms()
        spent = await parts.store.spending.day_used_micro(now)
        contacts = parts.discovery.contacts()
        key = parts.identity.public_key
        return StatusView(
            node=short_id(key),
            did=did_key(key),
            network=parts.network,
            version=self._version,
            pid=os.getpid(),
            home=self._home,
            uptime_s=asyncio.get_running_loop().time() - self._started_at,
            listening=tuple(str(one) for one in daemon.addresses.listen),
            advertised=str(daemon.addresses.advertised),
            peers=len({session.peer_key for session in parts.peers.open_sessions()}),
            contacts=len(contacts),
            bootstrap=self._bootstrap(len(contacts)),
            skills_sold=tuple(ware.label for ware in parts.shop.wares),
            roles=self._roles,
            tasks=await self._task_counts(),
            spent_today_micro=spent,
            earned_today_micro=(await parts.store.earnings.on_day(now)).paid_micro,
            cap_today_micro=parts.store.spending.caps.day_micro,
            journal_height=await parts.store.journal.height(),
            ledger=brief(parts.community),
            openai_url=self.openai_url,
            draining=daemon.is_stopping,
            problems=(*await self._damage(), *self._problems(len(contacts), spent), *await maker_problems(parts)),
        )

    def _bootstrap(self, contacts: int) -> str:
        wanted = len(self._daemon.bootstrap)
        if contacts:
            return f"joined, {counted(contacts, 'contact')}"
        return f"trying {counted(wanted, 'address', 'addresses')}" if wanted else "no bootstrap address"

    async def _task_counts(self) -> dict[str, int]:
        counts = await self._daemon.parts.store.tasks.count_by_state()
        return {state: counts[state] for state in TRANSITIONS if counts.get(state)}

    async def _damage(self) -> list[Problem]:
        broken = await self._daemon.parts.store.journal.check_end()
        if broken is None:
            return []
        text = f"nothing is bought or sold: {broken}"
        return [Problem(text=text, fix="coalesced journal verify")]

    def _problems(self, contacts: int, spent_micro: int) -> Iterable[Problem]:
        daemon, parts = self._daemon, self._daemon.parts
        if daemon.bootstrap and not contacts:
            where = ", ".join(str(one) for one in daemon.bootstrap)
            yield Problem(text=f"no node answers at {where}: tasks are done here", fix="coalesced doctor")
        ledger = parts.community.standing
        if ledger is not None and ledger.problem:
            yield Problem(text=f"the ledger {ledger.complaint}", fix="coalesced doctor")
        cap = parts.store.spending.caps.day_micro
        if spent_micro >= cap * NEARLY:
            yield Problem(text=f"{usd(spent_micro)} of today's {usd(cap)} are spent", fix="coalesced config show")
        yield from registry_problems(parts.sources.tallies)
        for label, problem in parts.sales.problems.items():
            yield Problem(text=f"{label} is not on sale: {problem}", fix=f"coalesced sell rm {label}")

    async def skills(self) -> SkillsView:
        """What this node can do itself."""
        return await skills_view(self._daemon.parts)

    def metrics(self) -> bytes:
        """Prometheus text."""
        from node.metrics import render  # prometheus_client, 1 MiB, which a node that nobody watches does without

        parts, dht = self._daemon.parts, self._daemon.parts.discovery.stats
        gauges = {
            "contacts": ("Nodes in the routing table.", float(len(parts.discovery.contacts()))),
            "sessions": ("Open encrypted sessions.", float(len(parts.peers.open_sessions()))),
            "tasks_running": ("Tasks of the owner under way.", float(len(parts.running))),
            "jobs_running": ("Executions under way.", float(parts.executor.running)),
            "jobs_queued": ("Executions waiting.", float(parts.executor.queue_depth)),
            "offers": ("Skills on sale.", float(len(parts.shop.wares))),
        }
        counters = {
            "dht_datagrams": (
                "Datagrams of the DHT.",
                "direction",
                {"sent": dht.sent, "received": dht.received, "retransmitted": dht.retransmitted, "lost": dht.lost},
            ),
            "dht_dropped": ("Datagrams dropped, by reason.", "reason", dict(dht.dropped)),
            "events_dropped": ("Live events that a slow listener missed.", "reason", {"slow": parts.hub.dropped}),
        }
        return render(gauges, counters)
