"""What each party to a deal does next: by the deal as it stands on the chain, and its own records. Pure.

    client      FUNDED, too late: expire | SUBMITTED: release what passed, dispute what did not | DISPUTED: release
    contractor  FUNDED: submit what was delivered, refund what will not be | later: refund what it lets go, else wait
    arbiter     DISPUTED: rule what the exhibit shows

Nothing here remembers: after a crash the same follows from the chain and the journal, and the chain takes each step
once. What nobody does is done by time: every stage has an end, after which anybody may say `expire`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from crypto.hashing import tagged_hash
from node.ledger.chain.state import (
    ACTIVE,
    CLOSED,
    DISPUTED,
    FUNDED,
    SUBMITTED,
    Account,
    AccountId,
    Deal,
    State,
    account_key,
    deal_key,
)
from node.ledger.chain.trie import Trie

Step = Literal["submit", "release", "refund", "dispute", "rule", "expire"]
Ending = Literal["open", "accepted", "rejected", "failed", "abandoned"]
"""How a job ended by the client's journal; `abandoned`: the client itself let go of it, `open`: nothing is said yet."""
DEALS = b"\x09"
"""What the keys of deals begin with."""


@dataclass(frozen=True, slots=True)
class Known:
    """A deal, whose it is and what it is called. Anybody may call one of its own as another's is called."""

    client: AccountId
    name: bytes
    deal: Deal

    @property
    def key(self) -> bytes:
        """What tells it from all others."""
        return deal_key(self.client, self.name)


def deal_name(quote: bytes) -> bytes:
    """What the deal of a quoted job is called: both parties know it, and a replay would be the same deal."""
    return tagged_hash(b"deal-of-quote", quote)


def arbiter_for(state: State, client: AccountId, contractor: AccountId, name: bytes) -> bytes | None:
    """The member that the deal's name picks among those who are no party to it; None when every member is one."""
    others = [key for key in state.members if state.account_of(key) not in (client, contractor, None)]
    return others[int.from_bytes(name[:8], "big") % len(others)] if others else None


def is_member(state: State, account: bytes) -> bool:
    """Whether the account has a vote now."""
    return any(state.account_of(key) == account for key in state.members)


def active_account(state: State, key: bytes) -> AccountId | None:
    """The account that acts by this key; None when there is none, or it has ended or passed to another key."""
    owner = state.account_of(key)
    account = state.find(Account, account_key(owner)) if owner is not None else None
    return owner if account is not None and account.key == key and account.standing == ACTIVE else None


def changed_deals(before: State | None, after: State) -> Iterator[tuple[bytes, Known | None]]:
    """(key, deal) of every deal that is not as it was; None for those that are forgotten."""
    earlier = before.trie.part(DEALS) if before is not None else Trie()
    for key, entry in after.trie.part(DEALS).changes(earlier).items():
        yield key, Known(AccountId(key[1:33]), key[33:], entry) if isinstance(entry, Deal) else None


def step_of_client(deal: Deal, ending: Ending, now_unix_ms: int, *, patience_ms: int) -> Step | None:
    """What the client does. `patience_ms`: until when the contractor may give the money back by itself.

    What it abandoned it neither pays nor disputes: it does not know whether the work was good, and silence pays.
    """
    is_late = now_unix_ms > deal.due_unix_ms
    if deal.stage == FUNDED:
        return "expire" if is_late else None
    if deal.stage in (SUBMITTED, DISPUTED) and ending == "accepted":
        return "release"
    if deal.stage == SUBMITTED and ending in ("rejected", "failed"):
        return None if is_late or now_unix_ms < patience_ms else "dispute"
    return "expire" if is_late and deal.stage == DISPUTED else None


def step_of_contractor(
    deal: Deal, now_unix_ms: int, *, is_delivered: bool, is_under_way: bool, lets_go: bool
) -> Step | None:
    """What the contractor does. `lets_go`: it takes the client's word that nothing is owed."""
    is_late = now_unix_ms > deal.due_unix_ms
    if deal.stage == CLOSED:
        return None
    if deal.stage == FUNDED:
        if is_delivered:
            return "refund" if lets_go else None if is_late else "submit"
        return None if is_under_way else "refund"
    if lets_go:
        return "refund"
    return "expire" if is_late else None


def step_of_arbiter(deal: Deal, now_unix_ms: int, *, has_ruling: bool) -> Step | None:
    """What the arbiter does."""
    return "rule" if deal.stage == DISPUTED and has_ruling and now_unix_ms <= deal.due_unix_ms else None
