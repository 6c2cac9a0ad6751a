"""Peers that passed their account to another key stay who they are: history and blocks here follow the chain."""

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from crypto.identity import short_id
from node.community.community import Community
from node.community.following import Following
from node.community.waiters import NotCommittedError
from node.ledger.chain.state import ACTIVE, Account, AccountId, Entry, Name, State, account_key, name_key
from node.ledger.chain.trie import Trie
from node.net.peers import Peers
from node.store.successions import Successions

NAMES: Final = name_key(b"")
PAUSE_S: Final = 1.0
"""Between two looks while no chain is followed, or its file is being read."""

log = structlog.get_logger()


class Successors:
    """Looks at each block that passes an account on."""

    def __init__(self, community: Community, successions: Successions, peers: Peers) -> None:
        self._community = community
        self._successions = successions
        self._peers = peers

    def same_owner(self, key: bytes) -> set[bytes]:
        """`key`, and every other that its account acts or acted by, as far as a chain is followed."""
        try:
            found = succeeded(self._community.following.state)
        except NotCommittedError:
            return {key}
        current = found.get(key, key)
        return {key, current} | {former for former, latest in found.items() if latest == current}

    async def run(self) -> None:
        """For ever. After a start all successions are gone through: what was recorded late passes then."""
        while True:
            with suppress(NotCommittedError):
                await self._follow(self._community.following)
            await asyncio.sleep(PAUSE_S)

    async def _follow(self, following: Following) -> None:
        """Until there is no chain, for now or for good."""
        seen: Trie[Entry] | None = None
        found = dict[bytes, bytes]()
        while True:
            state = following.state
            names = state.trie.part(NAMES)
            if seen is None or names.root() != seen.root():
                found = succeeded(state)
                passed = await self._successions.take_over(found)
                for key in passed.blocked:
                    self._peers.block(key, float("inf"))
                    log.warning("peer.blocked", peer=short_id(key), reason="it succeeds a key that is blocked")
                if passed.jobs:
                    log.info("sellers.succeeded", jobs=passed.jobs)
                seen = names
            # Offences are this process's own, and a former key may still commit some.
            for key, successor in found.items():
                self._peers.pass_on(key, successor)
            await following.next_block()


def succeeded(state: State) -> dict[bytes, bytes]:
    """Every key whose account acts by another one now, and that one."""
    found = dict[bytes, bytes]()
    for key, name in state.trie.items(NAMES):
        assert isinstance(name, Name)
        account = state.the(Account, account_key(AccountId(name.account)))
        if account.key != key[1:] and account.standing == ACTIVE:
            found[key[1:]] = account.key
    return found
