"""This node's part in its community chain, as the rest of the node sees it.

What is wrong with the chain or its file ends at this door: the node lives on, refuses to vote, and says why.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from crypto.identity import Identity
from dht.service import KademliaDiscovery
from node.community.config import LedgerConfig
from node.community.directory import Directory
from node.community.facts import Facts
from node.community.following import Following, guarded
from node.community.joining import Joining
from node.community.rater import Rater
from node.community.shell import MakeShell, Shell
from node.community.waiters import Done, NotCommittedError
from node.env import Env
from node.errors import NodeError
from node.ledger.chain.machine import ChainMachine
from node.net.endpoint import Endpoint
from node.net.errors import Refusal
from node.net.peers import Peers
from node.store.errors import StorageError
from node.store.journal_store import Journal
from node.store.ledger_store import LedgerStore, Pinned
from protocol.messages import GenesisFound, LedgerBatch, Message, Ok
from protocol.receipts import Receipt, Signed
from protocol.signed import AcceptanceTerms

SUBMIT_TIMEOUT_S = 20.0
"""Long enough for two changes of the primary."""
ASKING = "asking the bootstrap addresses which chain they follow"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is to be said at this moment; each part is empty where there is nothing of the kind."""

    chain: bytes
    name: str
    origin: str
    facts: Facts | None
    problem: str
    is_halted: bool
    dropped: int
    unreachable: tuple[bytes, ...]

    @property
    def complaint(self) -> str:
        """The problem, as what a sentence says of the ledger."""
        follows = self.facts is not None and not self.is_halted
        return f"{'does not vote' if follows else 'neither votes nor follows'}: {self.problem}"


class Community:
    """`open` it, `run` it until it is cancelled."""

    def __init__(
        self,
        *,
        identity: Identity,
        network: str,
        env: Env,
        store: LedgerStore | StorageError,
        peers: Peers,
        discovery: KademliaDiscovery,
        advertised: Endpoint,
        bootstrap: Sequence[Endpoint],
        config: LedgerConfig,
        journal: Journal,
        make_shell: MakeShell = Shell,
    ) -> None:
        """`store` may be what was wrong with the file: then there is no ledger, and that is why."""
        self._identity = identity
        self._network = network
        self._env = env
        self._store = store
        self._peers = peers
        self._discovery = discovery
        self._advertised = advertised
        self._config = config
        self._bootstrap = tuple(bootstrap)
        self._make_shell = make_shell
        self._rater = Rater(identity, env, journal)
        self._following: Following | None = None
        self._problem = str(store) if isinstance(store, StorageError) else ""

    async def open(self) -> None:
        """Choose the chain as far as nobody else is needed; UsageError when the genesis file is not the pinned one."""
        if isinstance(self._store, StorageError) or not self._config.enabled:
            return
        try:
            pinned = await self._joining(self._store).at_start(self._config.genesis)
        except StorageError as error:
            self._problem = str(error)
            return
        if pinned is not None:
            self._follow(pinned, self._store)

    async def run(self) -> None:
        """Follow the chain until cancelled; ask the bootstrap addresses for it first where that is needed."""
        if isinstance(self._store, StorageError) or self._problem or not self._config.enabled:
            return
        try:
            if self._following is None:
                pinned, peer = await self._joining(self._store).ask()
                self._follow(pinned, self._store)
                if peer is not None:
                    self.following.links.heard(peer)
        except NodeError as error:
            self._problem = str(error)
            log.error("ledger.not_joined", error=self._problem)
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self.following.run())
            group.create_task(guarded(self._rater.run(self.following)))

    def _joining(self, store: LedgerStore) -> Joining:
        return Joining(self._identity, self._network, self._env, store, self._peers, self._discovery, self._bootstrap)

    def _follow(self, pinned: Pinned, store: LedgerStore) -> None:
        machine = ChainMachine(pinned.genesis)
        directory = Directory(self._discovery, self._network, machine.chain, self._advertised, self._config)
        self._following = Following(
            self._identity, self._env, pinned, store, self._peers, directory, self._config, machine, self._make_shell
        )

        self._peers.on_notice = self._noticed

    # --- what peers ask

    def _noticed(self, peer: bytes, batch: LedgerBatch) -> None:
        """As `take`, for one who does not wait for an answer."""
        with suppress(Refusal):
            self.take(peer, batch)

    def take(self, peer: bytes, batch: LedgerBatch) -> Message:
        """Put a peer's messages into the inbox; Refusal when they are about another chain."""
        following = self._following
        if following is None:
            raise Refusal("no_chain", "this node follows no community chain")
        if batch.chain != following.machine.chain:
            raise Refusal("other_chain", f"this node follows chain {following.machine.chain.hex()}")
        following.links.heard(peer)
        is_stranger = following.facts is None or peer not in following.facts.members
        for message in batch.messages:
            following.inbox.put(peer, message, from_stranger=is_stranger)
        return Ok()

    def genesis(self) -> Message:
        """Which chain this node follows."""
        return GenesisFound(genesis=b"" if self._following is None else self._following.pinned.genesis)

    # --- what the node asks

    @property
    def following(self) -> Following:
        """The chain at work; NotCommittedError with the reason while there is none."""
        if self._following is None:
            raise NotCommittedError(self.why_none)
        return self._following

    @property
    def why_none(self) -> str:
        """Why no chain is followed."""
        if not self._config.enabled:
            return "ledger.enabled is false in this node's configuration"
        return self._problem or ASKING

    async def submit(self, tx: bytes, *, timeout_s: float = SUBMIT_TIMEOUT_S) -> Done:
        """Have a transaction committed; NotCommittedError says why it is not, or not yet."""
        return await self.following.submit(tx, timeout_s=timeout_s)

    async def rate(self, receipt: Receipt, acceptance: Signed[AcceptanceTerms], task_id: bytes) -> None:
        """Say on the chain how a job ended, once that may be shown. Without a chain, nothing is said."""
        if self._following is None:
            return
        try:
            await self._rater.rate(self._following, receipt, acceptance, task_id)
        except NodeError as error:
            log.warning("rating.not_kept", error=str(error))

    def dealt_with(self, client: bytes) -> None:
        """A client has signed a receipt: where this node alone decides, it is let in, so that it can rate."""
        if self._following is not None and self._following.facts is not None:
            self._following.later(self._rater.admit(self._following, client))

    @property
    def standing(self) -> Standing | None:
        """How this node stands with its chain; None when it is to have none."""
        if not self._config.enabled:
            return None
        following = self._following
        if following is None:
            return Standing(b"", "", "", None, self._problem, is_halted=False, dropped=0, unreachable=())
        facts = following.facts
        return Standing(
            following.machine.chain,
            following.machine.genesis.name,
            following.pinned.origin,
            facts,
            self._problem or following.problem or following.halted or following.doubt,
            is_halted=bool(following.halted),
            dropped=following.inbox.dropped,
            unreachable=tuple(following.links.unreachable(facts.members)) if facts else (),
        )
