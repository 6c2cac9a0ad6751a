"""Signs this node's own transactions, each with a sequence number that its account has not used."""

from typing import Any

from crypto.identity import Identity
from node.community.waiters import NotCommittedError
from node.ledger.chain.state import Account, State, account_key
from protocol.transactions import Owned, sign_transaction


class Author:
    """One account's pen on one chain."""

    def __init__(self, identity: Identity, chain: bytes) -> None:
        self._identity = identity
        self._chain = chain
        self._used = 0
        """The last number given out: what was signed with it may still be on its way."""

    def next_sequence(self, state: State) -> int:
        """A fresh number; NotCommittedError when this key has no account that is in use."""
        owner = state.account_of(self._identity.public_key)
        account = state.find(Account, account_key(owner)) if owner is not None else None
        if account is None or account.key != self._identity.public_key or account.standing != 0:
            raise NotCommittedError(
                "this node has no account on its chain: a member can admit it, or somebody pay the bond of its joining"
            )
        self._used = max(self._used, account.last_sequence) + 1
        return self._used

    def sign(self, state: State, kind: type[Owned], *more: Identity, **fields: Any) -> bytes:
        """A signed transaction of this account, cosigned by `more`."""
        terms = kind(chain=self._chain, signer=self._identity.public_key, sequence=self.next_sequence(state), **fields)
        return sign_transaction(terms, self._identity, *more)
