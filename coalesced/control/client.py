"""The caller's side of the control API: one coroutine a call, JSON objects as TypedDicts.

Imports none of the node's packages, so that it may live in anybody's process.

    async with ControlClient(paths.socket) as node:
        async for event in node.ask({"skill": "finance.sentiment", "text": "..."}):
            ...
"""

import os
from collections.abc import AsyncGenerator, Sequence
from typing import cast
from urllib.parse import quote

from coalesced.control import shapes
from coalesced.control.connection import Connection
from coalesced.control.errors import ControlError
from coalesced.skill import TASK_VARIABLE

LONG_CALL_TIMEOUT_S = 180.0
"""For calls that ask the network (quotes, lookups) or recompute much."""
SKILL_TEST_TIMEOUT_S = 3600.0
"""For a test of many items, each of them a hired task."""
MAX_NAME_CHARS = 1000
"""Far above a did:key or a label, far below what fits into a request's first line."""
MAX_WORDS_CHARS = 1000
"""Of a search by meaning: it travels in the request's address."""


class ControlClient(Connection):
    """The calls of a daemon. Open it with `async with`."""

    # --- the node ---

    async def status(self) -> shapes.Status:
        """One screen about the node."""
        return cast("shapes.Status", await self._call("GET", "/status"))

    async def doctor(self) -> shapes.Doctor:
        """Every check, made now."""
        return cast("shapes.Doctor", await self._call("GET", "/doctor", timeout_s=LONG_CALL_TIMEOUT_S))

    async def metrics(self) -> str:
        """The metrics in Prometheus text form."""
        async with self._exchange("GET", "/metrics", prefix="") as response:
            return await response.text()

    async def reload(self) -> shapes.Ok:
        """Read the configuration again."""
        return cast("shapes.Ok", await self._call("POST", "/reload"))

    async def stop(self, *, drain: bool = True) -> shapes.Ok:
        """Begin to stop; the daemon is gone when its socket is."""
        return cast("shapes.Ok", await self._call("POST", "/stop", body={"drain": drain}))

    def events(self) -> AsyncGenerator[shapes.Event]:
        """What happens from now on, without end."""
        return self._stream("GET", "/events")

    # --- peers and skills ---

    async def peers(self) -> shapes.Peers:
        """The nodes that this one knows."""
        return cast("shapes.Peers", await self._call("GET", "/peers"))

    async def ping(self, peer: str) -> shapes.Ping:
        """One round trip to `peer` (short id, did:key or host:port)."""
        return cast("shapes.Ping", await self._call("POST", f"/peers/{_peer(peer)}/ping"))

    async def block(self, peer: str) -> shapes.Ok:
        """Have nothing more to do with `peer`."""
        return cast("shapes.Ok", await self._call("POST", f"/peers/{_peer(peer)}/block"))

    async def unblock(self, peer: str) -> shapes.Ok:
        """Undo `block`."""
        return cast("shapes.Ok", await self._call("POST", f"/peers/{_peer(peer)}/unblock"))

    async def skills(self) -> shapes.Skills:
        """What this node can do."""
        return cast("shapes.Skills", await self._call("GET", "/skills"))

    async def find_skill(self, label: str, *, max_price_micro: int | None = None) -> shapes.Sellers:
        """Who sells `label`, asked of the network now."""
        query = {"skill": _skill(label)}
        if max_price_micro is not None:
            query["max_price_micro"] = str(max_price_micro)
        found = await self._call("GET", "/sellers", query=query, timeout_s=LONG_CALL_TIMEOUT_S)
        return cast("shapes.Sellers", found)

    async def find_meaning(
        self,
        text: str,
        *,
        max_price_micro: int | None = None,
        min_trust_ppm: int = 0,
        needs: Sequence[str] = (),
    ) -> shapes.Matches:
        """Which skills fit `text` by what it means, of agents that have all they need, here and on the network."""
        query = [("text", _words(text)), ("min_trust_ppm", str(min_trust_ppm)), *(("needs", need) for need in needs)]
        if max_price_micro is not None:
            query.append(("max_price_micro", str(max_price_micro)))
        found = await self._call("GET", "/matches", query=query, timeout_s=LONG_CALL_TIMEOUT_S)
        return cast("shapes.Matches", found)

    async def market(self, skill: str | None = None) -> shapes.Market:
        """What this node has seen of the market of `skill`, or of every skill that it asked sellers about."""
        query = None if skill is None else {"skill": skill}
        return cast("shapes.Market", await self._call("GET", "/market", query=query))

    async def priors(self, skill: str | None = None) -> shapes.Priors:
        """What probes of sellers came to, this node's own and those that market makers sold it."""
        query = None if skill is None else {"skill": skill}
        return cast("shapes.Priors", await self._call("GET", "/priors", query=query))

    async def buy_priors(self, request: shapes.BuyPriorsRequest) -> shapes.Priors:
        """Buy what market makers know of the sellers of a skill."""
        bought = await self._call("POST", "/priors", body=request, timeout_s=LONG_CALL_TIMEOUT_S)
        return cast("shapes.Priors", bought)

    async def offers(self) -> shapes.Offers:
        """What this node sells."""
        return cast("shapes.Offers", await self._call("GET", "/offers"))

    async def sell(self, request: shapes.SellRequest) -> shapes.Offer:
        """Put a skill on sale."""
        return cast("shapes.Offer", await self._call("POST", "/offers", body=request, timeout_s=LONG_CALL_TIMEOUT_S))

    async def unsell(self, label: str) -> shapes.Ok:
        """Take a skill off sale."""
        return cast("shapes.Ok", await self._call("DELETE", "/offers", query={"skill": _skill(label)}))

    # --- tasks ---

    def ask(self, request: shapes.AskRequest) -> AsyncGenerator[shapes.Event]:
        """Submit a task; its events, the last one with the task's outcome. Leaving early does not cancel it.

        In a function that runs for a task of the node's, it is a subtask of that one.
        """
        if token := os.environ.get(TASK_VARIABLE, ""):
            request = {**request, "parent": token}
        return self._stream("POST", "/ask", body=request)

    async def decide(self, request: shapes.AskRequest) -> shapes.Decision:
        """What `ask` would decide now, without doing it."""
        decided = await self._call("POST", "/decide", body=request, timeout_s=LONG_CALL_TIMEOUT_S)
        return cast("shapes.Decision", decided)

    async def tasks(self, *, limit: int = 50, state: str | None = None) -> shapes.Tasks:
        """The latest tasks first."""
        query = {"limit": str(limit)} | ({"state": state} if state else {})
        return cast("shapes.Tasks", await self._call("GET", "/tasks", query=query))

    async def task(self, task_id: str) -> shapes.Task:
        """One task as it stands."""
        return cast("shapes.Task", await self._call("GET", f"/tasks/{_task(task_id)}"))

    def watch(self, task_id: str) -> AsyncGenerator[shapes.Event]:
        """A task's events, those so far included, until it ends."""
        return self._stream("GET", f"/tasks/{_task(task_id)}/events")

    async def cancel(self, task_id: str) -> shapes.Task:
        """Give a task up."""
        return cast("shapes.Task", await self._call("POST", f"/tasks/{_task(task_id)}/cancel"))

    async def answer(self, task_id: str, text: str) -> shapes.Task:
        """Answer a task's question."""
        answered = await self._call("POST", f"/tasks/{_task(task_id)}/answer", body={"text": text})
        return cast("shapes.Task", answered)

    async def result(self, task_id: str) -> tuple[bytes, str]:
        """A completed task's result, and its media type."""
        async with self._exchange("GET", f"/tasks/{_task(task_id)}/result", LONG_CALL_TIMEOUT_S) as response:
            return await response.read(), response.content_type

    async def receipt(self, task_id: str) -> shapes.Receipt:
        """What both sides signed about a task."""
        return cast("shapes.Receipt", await self._call("GET", f"/tasks/{_task(task_id)}/receipt"))

    async def why(self, task_id: str) -> shapes.Why:
        """How a task was decided, and what happened."""
        return cast("shapes.Why", await self._call("GET", f"/tasks/{_task(task_id)}/why"))

    async def replay(self, task_id: str, *, number: int | None = None, what_if: Sequence[str] = ()) -> shapes.Replay:
        """A stored decision (the last, or of that number) made again; with `name=value` otherwise if asked for."""
        query = [("what_if", text) for text in what_if]
        if number is not None:
            query.append(("number", str(number)))
        return cast("shapes.Replay", await self._call("GET", f"/tasks/{_task(task_id)}/replay", query=query))

    # --- the journal ---

    async def journal_tail(self, limit: int = 20) -> shapes.Journal:
        """The latest entries."""
        return cast("shapes.Journal", await self._call("GET", "/journal", query={"limit": str(limit)}))

    async def journal_show(self, height: int) -> shapes.JournalEntry:
        """One entry in full."""
        return cast("shapes.JournalEntry", await self._call("GET", f"/journal/{height}"))

    async def journal_verify(self) -> shapes.Verify:
        """Recompute the whole chain."""
        return cast("shapes.Verify", await self._call("POST", "/journal/verify", timeout_s=LONG_CALL_TIMEOUT_S))

    # --- the community chain ---

    async def ledger_head(self) -> shapes.LedgerHead:
        """Where the chain stands here."""
        return cast("shapes.LedgerHead", await self._call("GET", "/ledger"))

    async def ledger_members(self) -> shapes.LedgerMembers:
        """Who decides the next block."""
        return cast("shapes.LedgerMembers", await self._call("GET", "/ledger/members"))

    async def ledger_verify(self) -> shapes.LedgerVerify:
        """Recompute everything from the genesis."""
        return cast("shapes.LedgerVerify", await self._call("POST", "/ledger/verify", timeout_s=LONG_CALL_TIMEOUT_S))

    async def ledger_blocks(self, first: int = 1) -> shapes.LedgerBlocks:
        """One page of blocks from `first` on."""
        return cast("shapes.LedgerBlocks", await self._call("GET", "/ledger/blocks", query={"first": str(first)}))

    async def ledger_proof(self, what: str, *, with_receipt: bool = False) -> shapes.LedgerProof:
        """The proof of a receipt's rating, of a transaction, or of a peer's account."""
        query = {"of": what, "with_receipt": "1" if with_receipt else "0"}
        return cast("shapes.LedgerProof", await self._call("GET", "/ledger/proof", query=query))

    async def ledger_account(self, peer: str = "") -> shapes.LedgerAccount:
        """What `peer`, or this node, holds on the chain."""
        query = {"of": peer} if peer else {}
        return cast("shapes.LedgerAccount", await self._call("GET", "/ledger/account", query=query))

    async def ledger_submit(self, tx: bytes) -> shapes.LedgerDone:
        """Have a signed transaction committed; where it is, once it is final."""
        return cast("shapes.LedgerDone", await self._call("POST", "/ledger/transactions", body={"tx": tx}))

    async def trust(self, peer: str) -> shapes.Trust:
        """What the chain says about `peer`, and how far this node believes it."""
        return cast("shapes.Trust", await self._call("GET", f"/trust/{_peer(peer)}"))

    async def certificates(self, peer: str) -> shapes.Certificates:
        """What others certify about `peer`, asked of it and checked now."""
        path = f"/peers/{_peer(peer)}/certificates"
        return cast("shapes.Certificates", await self._call("GET", path, timeout_s=LONG_CALL_TIMEOUT_S))

    async def certify(self, request: shapes.CertifyRequest) -> shapes.Credential:
        """Certify something about a peer; the credential is for that peer."""
        return cast("shapes.Credential", await self._call("POST", "/certificates", body=request))

    async def keep_credential(self, document: str) -> shapes.Ok:
        """Keep a credential about this node."""
        return cast("shapes.Ok", await self._call("POST", "/certificates/kept", body={"document": document}))

    async def revoke_certificate(self, serial: str) -> shapes.Ok:
        """Take a certificate of this node's back; `serial` may be its beginning."""
        name = quote(_name(serial, "serial number", "coalesced skills show PEER"), safe="")
        return cast("shapes.Ok", await self._call("DELETE", f"/certificates/{name}"))

    async def at_least(self, peer: str, name: str, amount: int, *, hidden: bool = False) -> shapes.AtLeast:
        """Whether `peer` shows that it has so much of a resource."""
        query = {"name": name, "at_least": str(amount), "hidden": str(int(hidden))}
        path = f"/peers/{_peer(peer)}/at-least"
        found = await self._call("GET", path, query=query, timeout_s=LONG_CALL_TIMEOUT_S)
        return cast("shapes.AtLeast", found)

    async def attest(self, peer: str, *, size: int, rounds: int, memory_mib: int = 0) -> shapes.Attestation:
        """Put the machine of `peer` to the test."""
        query = {"size": str(size), "rounds": str(rounds), "memory_mib": str(memory_mib)}
        path = f"/peers/{_peer(peer)}/attest"
        found = await self._call("POST", path, query=query, timeout_s=LONG_CALL_TIMEOUT_S)
        return cast("shapes.Attestation", found)

    async def examined(self, peer: str) -> shapes.Examined:
        """What this node found out about `peer` by itself."""
        return cast("shapes.Examined", await self._call("GET", f"/peers/{_peer(peer)}/examined"))

    async def test_skill(self, request: shapes.SkillTestRequest) -> shapes.SkillTest:
        """Put a skill of a peer to the test: ordinary paid tasks with known answers, one after another."""
        found = await self._call("POST", "/skill-tests", body=request, timeout_s=SKILL_TEST_TIMEOUT_S)
        return cast("shapes.SkillTest", found)

    async def report_leak(self, text: str) -> shapes.Leak:
        """Tell the node of a honeytoken that was found where it should not be."""
        return cast("shapes.Leak", await self._call("POST", "/leaks", body={"text": text}))


def _task(text: str) -> str:
    return quote(_name(text, "task id", "coalesced task ls"), safe="")


def _peer(text: str) -> str:
    return quote(_name(text, "peer", "coalesced peers ls"), safe="")


def _skill(text: str) -> str:
    return _name(text, "skill label", "coalesced skills ls")


def _words(text: str) -> str:
    if not text.strip() or len(text) > MAX_WORDS_CHARS:
        raise ControlError("usage", f"say what is to be done in 1 to {MAX_WORDS_CHARS} characters, not {len(text)}", 2)
    return text


def _name(text: str, what: str, listing: str) -> str:
    """`text`, if it can stand in a request's address; what it names is for the daemon to say."""
    # The server's routes match no braces: what holds some would be told as a call that does not exist.
    if text.strip() in ("", ".", "..") or len(text) > MAX_NAME_CHARS or set(text) & {"{", "}"}:
        shown = repr(text) if len(text) <= MAX_NAME_CHARS else f"a text of {len(text)} characters"
        raise ControlError("usage", f"{shown} is not a {what}: `{listing}` lists them", 2)
    return text
