"""One chain while this node follows it: a shell at work, and a fresh one whenever its file has failed."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from crypto.identity import Identity, short_id
from node.community.author import Author
from node.community.config import LedgerConfig
from node.community.directory import Directory
from node.community.facts import Facts
from node.community.inbox import Inbox
from node.community.links import Links
from node.community.shell import MakeShell, Shell, Surroundings
from node.community.waiters import Done, NotCommittedError, Waiters
from node.env import Env
from node.errors import NodeError
from node.ledger.chain.evidence import vote_conflict
from node.ledger.chain.machine import ChainMachine
from node.ledger.chain.state import State
from node.ledger.pbft.core import Core
from node.net.endpoint import Endpoint
from node.net.peers import Peers
from node.store.errors import DiskFullError
from node.store.ledger_store import LedgerStore, Pinned
from protocol.consensus import Equivocation
from protocol.transactions import CommitRating, sign_transaction, transaction_id

FULL_PAUSE_S = 2.0
"""Before it is seen whether a full disk has room again."""
FAULT_PAUSE_S = 60.0
"""After anything else that is wrong with the file: mostly a person has to look."""

FORGOT = (
    "votes of this member are missing from its ledger.db (lost, or an older copy): it follows, and votes again once "
    "the others have committed a transaction that it makes now"
)

log = structlog.get_logger()


class Following:
    """What was chosen, at work."""

    def __init__(
        self,
        identity: Identity,
        env: Env,
        pinned: Pinned,
        store: LedgerStore,
        peers: Peers,
        directory: Directory,
        config: LedgerConfig,
        machine: ChainMachine,
        make_shell: MakeShell = Shell,
    ) -> None:
        self.pinned = pinned
        self.machine = machine
        self.store = store
        self.author = Author(identity, machine.chain)
        self.problem = ""
        """Why this node neither votes nor follows, for now or for good."""
        self._identity = identity
        self._env = env
        self._peers = peers
        self._directory = directory
        self._config = config
        self._make_shell = make_shell
        self._group = asyncio.TaskGroup()
        self.inbox = Inbox(config)
        self._waiters = Waiters()
        self.links = Links(
            identity.public_key,
            machine.chain,
            peers,
            directory,
            config,
            lambda link: self._group.create_task(guarded(link.run())),
        )
        self._shell: Shell | None = None
        self._announcing: asyncio.Task[None] | None = None

    @property
    def facts(self) -> Facts | None:
        """How things stand; None until the file was read, and while it cannot be."""
        return None if self._shell is None else self._shell.facts

    @property
    def state(self) -> State:
        """After the last block that is stored here; NotCommittedError while nothing is known of it."""
        if self._shell is None:
            raise NotCommittedError(self.problem or "the ledger is still being read: try again in a moment")
        return self._shell.state

    @property
    def halted(self) -> str:
        """Why this replica stopped for good, if it has."""
        return "" if self._shell is None else self._shell.halted

    @property
    def doubt(self) -> str:
        """Why this member does not vote for now, while it follows."""
        if self._shell is None:
            return ""
        return FORGOT if self._shell.facts.forgot else self._shell.off_the_clock

    async def next_block(self) -> None:
        """Return when one more block is stored here."""
        await self._waiters.next_block()

    async def endpoint(self, member: bytes) -> Endpoint | None:
        """Where a member is, as far as anybody knows."""
        return await self._directory.endpoint(member)

    async def run(self) -> None:
        """Follow the chain, for ever."""
        async with self._group:
            while True:
                try:
                    await self._work()
                except DiskFullError as error:
                    await self._rest(error, FULL_PAUSE_S)
                except NodeError as error:
                    await self._rest(error, FAULT_PAUSE_S)
                except Exception as error:
                    # The edge: what is wrong here must not end the node.
                    log.exception("ledger.failed")
                    await self._rest(NodeError(f"a bug in the ledger ({type(error).__name__})"), FAULT_PAUSE_S)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside, as long as this chain is followed; an error in it is logged."""
        self._group.create_task(guarded(work))

    async def submit(self, tx: bytes, *, timeout_s: float) -> Done:
        """Have a transaction committed; NotCommittedError says why it is not, or not yet."""
        if self.problem or self.halted:
            raise NotCommittedError(self.problem or self.halted)
        tx_id = transaction_id(tx)
        outcome = self._waiters.expect(tx_id)
        try:
            if not self.inbox.put(None, tx):
                raise NotCommittedError("more transactions wait here than are let in: try again in a moment")
            async with asyncio.timeout(timeout_s):
                done = await outcome
        except TimeoutError:
            text = f"transaction {tx_id.hex()[:16]} is not committed after {timeout_s:g} s: it goes on waiting here"
            raise NotCommittedError(text) from None
        finally:
            self._waiters.forget(tx_id, outcome)
        if isinstance(done, NotCommittedError):
            raise done
        return done

    async def _work(self) -> None:
        """Read the file, then step; ends with what went wrong."""
        loaded = await self.store.load(self.machine, keep_blocks=self._config.keep_blocks)
        core = Core(
            self._identity,
            self.machine,
            self._config.agreement,
            chain=self.machine.chain,
            head=loaded.head,
            state=loaded.state,
            forgot=loaded.forgot,
        )
        if self.problem:
            await self.store.check_room()
            self.problem = ""
        around = Surroundings(
            store=self.store,
            links=self.links,
            inbox=self.inbox,
            waiters=self._waiters,
            peers=self._peers,
            env=self._env,
            report=self._report,
        )
        shell = self._make_shell(core, around)
        self._shell = shell
        log.info("ledger.following", chain=self.machine.chain.hex(), height=loaded.head.height, role=shell.facts.role)
        if loaded.forgot:
            log.warning("ledger.votes_forgotten", reason=FORGOT)
        if self._announcing is None:
            self._announcing = self._group.create_task(guarded(self._announce()))
        await shell.run(loaded, self._config.keep_blocks, self._make_proof)

    async def _announce(self) -> None:
        """Say in the DHT where this node is while it is a member: from the start, or once it is elected."""
        is_announced = False
        while True:
            is_member = self.facts is not None and self._identity.public_key in self.facts.members
            if is_member == is_announced:
                await self.next_block()
                continue
            await (self._directory.announce() if is_member else self._directory.withdraw())
            is_announced = is_member

    def _make_proof(self, state: State) -> bytes | None:
        try:
            return self.author.sign(state, CommitRating, commitment=self._env.entropy(32))
        except NotCommittedError as error:
            log.info("ledger.no_proof_yet", reason=str(error))
            return None

    async def _rest(self, error: NodeError, pause_s: float) -> None:
        self.problem, self._shell = str(error), None
        log.error("ledger.stopped", error=self.problem, again_in_s=pause_s)
        self._waiters.fail_all(error)
        await asyncio.sleep(pause_s)
        self.inbox.drain()

    def _report(self, seen: Equivocation) -> None:
        """Bring evidence against a member before the others; whoever is first is heard."""
        accused, me = seen.first.signer, self._identity
        log.warning("ledger.equivocation", member=short_id(accused))
        try:
            sequence = self.author.next_sequence(self.state)
        except NotCommittedError:
            return
        terms = vote_conflict(seen, chain=self.machine.chain, signer=me.public_key, sequence=sequence)
        self.inbox.put(None, sign_transaction(terms, me))


async def guarded(work: Coroutine[Any, Any, None]) -> None:
    """The edge of what runs beside the shell: an error of ours there is logged and ends nothing else."""
    try:
        await work
    except Exception:
        log.exception("ledger.task_failed")
