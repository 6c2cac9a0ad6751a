"""Which chain this node follows: what is pinned, what the owner names, what the bootstrap addresses follow, or its own.

A chain is chosen once. Only a chain of this node alone on which nothing has happened gives way to another.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from crypto.identity import Identity, short_id
from dht.contacts import Contact
from dht.service import KademliaDiscovery
from node.community.genesis_file import load_genesis, make_genesis
from node.env import Env
from node.errors import NodeError, UsageError
from node.ledger.chain.genesis import chain_id, decode_genesis
from node.net.endpoint import Endpoint, endpoint
from node.net.peers import Peers
from node.store.ledger_store import LedgerStore, Pinned
from protocol.errors import RemoteProtocolError
from protocol.messages import GenesisFound, GenesisRequest

ASK_TIMEOUT_S = 5.0
ASK_PAUSE_S = 1.0
"""Between two rounds of asking: a node that was just started may itself still be looking."""
OWN, FILE = "this node alone", "a genesis file"

log = structlog.get_logger()


class Joining:
    """Chooses and pins."""

    def __init__(
        self,
        identity: Identity,
        network: str,
        env: Env,
        store: LedgerStore,
        peers: Peers,
        discovery: KademliaDiscovery,
        bootstrap: Sequence[Endpoint],
    ) -> None:
        self._identity = identity
        self._network = network
        self._env = env
        self._store = store
        self._peers = peers
        self._discovery = discovery
        self._bootstrap = tuple(bootstrap)

    async def at_start(self, file: str) -> Pinned | None:
        """What needs nobody else; None when the bootstrap addresses have to be asked.

        UsageError when `file` names another chain than the one that was pinned before.
        """
        pinned = await self._store.pinned()
        if file:
            return await self._from_file(file, pinned)
        if pinned is not None and not (self._bootstrap and await self._is_unused(pinned)):
            return pinned
        return None if self._bootstrap else await self._pin_alone()

    async def ask(self) -> tuple[Pinned, bytes | None]:
        """What the bootstrap addresses follow, as soon as one of them says so; and who said it."""
        while True:
            answers = {contact.public_key: await self._asked(contact) for contact in self._bootstrap_contacts()}
            for peer, genesis in answers.items():
                if genesis:
                    return await self._pin(genesis, f"bootstrap peer {short_id(peer)}"), peer
            # Nodes that were told of each other only would wait for ever: the one with the lowest key begins.
            if answers and None not in answers.values() and self._identity.public_key < min(answers):
                return await self._pin_alone(), None
            await asyncio.sleep(ASK_PAUSE_S)

    async def _from_file(self, file: str, pinned: Pinned | None) -> Pinned:
        try:
            genesis = await self._env.offload(load_genesis, Path(file))
        except OSError as error:
            raise UsageError(f"the genesis file {file} cannot be read: {error.strerror}") from error
        self._check_network(genesis, file)
        if pinned is None or (pinned.genesis != genesis and await self._is_unused(pinned)):
            return await self._pin(genesis, FILE)
        if pinned.genesis != genesis:
            raise UsageError(
                f"{file} is chain {chain_id(genesis).hex()}, and this node follows {chain_id(pinned.genesis).hex()} "
                f"(from {pinned.origin}): start it without --genesis, or with another --home"
            )
        return pinned

    async def _is_unused(self, pinned: Pinned) -> bool:
        """Whether it is a chain of this node alone, without a block."""
        members = decode_genesis(pinned.genesis).members
        return members == (self._identity.public_key,) and await self._store.height() == 0

    async def _pin_alone(self) -> Pinned:
        key = self._identity.public_key
        now = self._env.unix_ms()
        name = f"{short_id(key)} alone"
        genesis = make_genesis(name=name, network=self._network, time_unix_ms=now, members=[key])
        return await self._pin(genesis, OWN, is_new=True)

    async def _pin(self, genesis: bytes, origin: str, *, is_new: bool = False) -> Pinned:
        chosen = Pinned(genesis, origin, self._env.unix_ms())
        await self._store.pin(chosen, is_new=is_new)
        members = len(decode_genesis(genesis).members)
        log.info("ledger.pinned", chain=chain_id(genesis).hex(), origin=origin, members=members)
        return chosen

    def _check_network(self, genesis: bytes, where: str) -> None:
        network = decode_genesis(genesis).network
        if network != self._network:
            raise UsageError(f"the chain of {where} is for network {network!r}, and this node is in {self._network!r}")

    def _bootstrap_contacts(self) -> list[Contact]:
        """Those at the addresses that the owner named; a name stands for any address with its port."""
        literal = {one for one in self._bootstrap if ":" in one.host or one.host.replace(".", "").isdigit()}
        ports = {one.port for one in self._bootstrap if one not in literal}
        return [
            contact
            for contact in self._discovery.contacts()
            if endpoint(contact.host, contact.port) in literal or contact.port in ports
        ]

    async def _asked(self, contact: Contact) -> bytes | None:
        """The packed genesis that a peer follows, empty if it follows none; None when it gives no usable answer."""
        try:
            session = await self._peers.session(contact.public_key, endpoint(contact.host, contact.port))
            answer = await session.request(GenesisRequest(), timeout_s=ASK_TIMEOUT_S)
            if not isinstance(answer, GenesisFound):
                return None
            if answer.genesis:
                decode_genesis(answer.genesis)
                self._check_network(answer.genesis, str(contact))
        except (NodeError, TimeoutError, RemoteProtocolError) as error:
            log.info("ledger.no_genesis", peer=short_id(contact.public_key), error=str(error))
            return None
        return answer.genesis
