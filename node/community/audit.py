"""Recomputes a chain: every link, signature, quorum, transaction and state root. Pure.

From the genesis on, or where the first blocks are pruned from a state on that the committee of that time certified.
"""

from collections.abc import Iterable, Sequence

from node.ledger.chain.machine import ChainMachine
from node.ledger.chain.state import State
from node.ledger.machine import InvalidBlock
from node.ledger.pbft.certified import follow_committees, open_header, uncertified
from node.ledger.pbft.opened import OpenCommitted, open_committed
from node.ledger.pbft.quorum import Committee, change_refused
from protocol.consensus import Certificate, Committed, CommitteeLink, block_hash, members_hash
from protocol.errors import RemoteProtocolError


class Audit:
    """Takes blocks in order, from the first after the genesis or after `begin`; stops at one that does not hold."""

    def __init__(self, machine: ChainMachine) -> None:
        self._machine = machine
        self.state: State = machine.start()
        self.block = machine.chain
        self.height = 0
        self.transactions = 0
        self.problem = ""
        self.first_height = 1
        """Of the first block that is recomputed."""

    def begin(self, header: bytes, certificate: Certificate, links: Sequence[CommitteeLink], state: State) -> None:
        """Start from a state in place of the genesis: what led to it is not looked at, that it was certified is.

        `links` are all changes of the committee before it.
        """
        machine = self._machine
        try:
            committee = follow_committees(machine.chain, 0, Committee(machine.genesis.members), links)
            opened, votes = open_header(machine.chain, header, certificate)
            if why := uncertified(votes, committee):
                raise InvalidBlock(why)
            if machine.root(state) != opened.state_root:
                raise InvalidBlock("the state after it is not the one that its header names")
        except RemoteProtocolError as error:
            self.problem = f"the state from which this ledger begins: {error.text}"
            return
        self.state, self.block, self.height = state, block_hash(header), opened.height
        self.first_height = opened.height + 1

    @property
    def state_root(self) -> bytes:
        """After the last good block."""
        return self._machine.root(self.state)

    def feed(self, blocks: Iterable[Committed]) -> bool:
        """Check the next blocks; whether all is well so far."""
        for committed in blocks:
            if self.problem:
                break
            try:
                self._take(open_committed(committed))
            except RemoteProtocolError as error:
                self.problem = f"block {self.height + 1}: {error.text}"
        return not self.problem

    def _take(self, committed: OpenCommitted) -> None:
        header, machine = committed.block.header, self._machine
        found = (header.chain, header.height, header.previous)
        if found != (machine.chain, self.height + 1, self.block):
            raise InvalidBlock(f"it is block {header.height} of another past")
        committee = Committee(machine.members(self.state))
        if why := uncertified(committed.certificate, committee):
            raise InvalidBlock(why)
        if header.time_unix_ms <= self.state.chain.time_unix_ms:
            raise InvalidBlock("it is not later than the one before it")
        txs = committed.block.block.txs
        state = machine.apply(self.state, txs, height=header.height, time_unix_ms=header.time_unix_ms)
        members = machine.members(state)
        if machine.root(state) != header.state_root or members_hash(members) != header.members_hash:
            raise InvalidBlock("it leads to another state than its header says")
        if why := change_refused(committee, members):
            raise InvalidBlock(why)
        self.state, self.block, self.height = state, committed.block.hash, header.height
        self.transactions += len(txs)
