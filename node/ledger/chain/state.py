"""The chain's state: what entries there are, under which keys, and a draft in which one block's changes gather.

Everything that is agreed on is an entry of one authenticated map (`trie`). A key is one byte of kind and the entry's
names at fixed lengths, so a contractor's pairs lie together. Accounts go by the first key they ever had (`AccountId`),
so that counts and deals stay where they are when a key is succeeded.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NewType, TypeVar

import msgspec

from node.ledger.chain.genesis import Parameters
from node.ledger.chain.trie import Trie, encode_value
from node.ledger.reputation.l1 import Counts
from protocol.errors import RemoteProtocolError
from protocol.packing import unpack
from protocol.receipts import DAY_MS
from protocol.signed import Outcome

AccountId = NewType("AccountId", bytes)
"""The first key of an account, 32 bytes."""

ACTIVE, REVOKED, FAULTY = 0, 1, 2
STANDINGS = ("active", "revoked", "faulty")
"""Of an account: in use; ended by its owner; caught with two signatures that contradict each other."""
FUNDED, SUBMITTED, DISPUTED, CLOSED = 0, 1, 2, 3
"""Of a deal."""
OUTCOMES: Final[tuple[Outcome, ...]] = ("ok", "fail", "late", "refund")
UNRATED: Final = len(OUTCOMES)
"""An outcome's number in the state is its place in OUTCOMES; this one stands for a delivery filed as unrated."""
MAX_RETIRED_PER_BLOCK: Final = 4096
"""Old entries that one block forgets: above what the largest block can add, so the queue cannot grow."""


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Base of all entries: integers, bytes, tuples of them, and so nothing for the garbage collector to visit."""


class Chain(Entry, frozen=True, array_like=True):
    """What there is once. Every credit ever issued is in an account, a bond, an open deal or the treasury."""

    height: int = 0
    time_unix_ms: int = 0
    issued_credits: int = 0
    treasury_credits: int = 0
    retired_first: int = 0
    retired_next: int = 0


class Committee(Entry, frozen=True, array_like=True):
    """The members who vote on the next height, in the order in which they are primaries."""

    members: tuple[bytes, ...]


class Account(Entry, frozen=True, array_like=True):
    """One identity: its key, credits, sequence window, quota, and the sums of what its clients say."""

    key: bytes
    next_key_sha256: bytes = b""
    standing: int = ACTIVE
    joined_unix_ms: int = 0
    credits: int = 0
    bond: int = 0
    last_sequence: int = 0
    sequence_window: int = 0
    epoch: int = 0
    epoch_used: int = 0
    day: int = 0
    successes: int = 0
    failures: int = 0
    ratings: int = 0
    explored: int = 0
    disputed: int = 0
    unrated: int = 0

    @property
    def sums(self) -> Counts:
        """What level 1 says about it."""
        return Counts(self.day, self.successes, self.failures)


class Name(Entry, frozen=True, array_like=True):
    """A key that is or was an account's and is not its id, or an id whose key was succeeded.

    What an old key signed counts up to the day on which it was succeeded; 0 while the key is in use.
    """

    account: bytes
    until_unix_ms: int = 0


class Pair(Entry, frozen=True, array_like=True):
    """What one client says about one contractor: decayed and capped counts, and how many jobs they are from."""

    day: int = 0
    successes: int = 0
    failures: int = 0
    ratings: int = 0
    explored: int = 0
    disputed: int = 0
    unrated: int = 0

    @property
    def counts(self) -> Counts:
        """For level 1."""
        return Counts(self.day, self.successes, self.failures)


class Commitment(Entry, frozen=True, array_like=True):
    """A rating that is promised, and the epoch in which it was."""

    epoch: int


class Rated(Entry, frozen=True, array_like=True):
    """An acceptance that has had its one rating, or was filed as unrated."""

    client: bytes
    contractor: bytes
    unix_ms: int
    outcome: int
    is_answered: int = 0


class Passed(Entry, frozen=True, array_like=True):
    """A motion of the committee that took effect."""

    height: int


class Deal(Entry, frozen=True, array_like=True):
    """Locked credits. `due_unix_ms` is when silence means something: submit, review or ruling, as `stage` says."""

    contractor: bytes
    arbiter: bytes
    credits: int
    due_unix_ms: int
    stage: int = FUNDED
    asked_credits: int = 0
    paid_credits: int = 0
    exhibit_sha256: bytes = b""
    """Of what the client shows the arbiter; empty where there is no dispute or nothing to show."""


class Retired(Entry, frozen=True, array_like=True):
    """An entry to forget after this moment: the places of the queue are in order of time."""

    key: bytes
    after_unix_ms: int


E = TypeVar("E", bound=Entry)

CHAIN_KEY: Final = b"\x01"
COMMITTEE_KEY: Final = b"\x02"
_SHAPES: Final[dict[int, tuple[type[Entry], int]]] = {
    1: (Chain, 1),
    2: (Committee, 1),
    3: (Account, 33),
    4: (Name, 33),
    5: (Pair, 65),
    6: (Commitment, 65),
    7: (Rated, 33),
    8: (Passed, 17),
    9: (Deal, 65),
    10: (Retired, 9),
}
"""By a key's first byte: what stands there, and how long such keys are."""


def account_key(account: AccountId) -> bytes:
    """Where an account stands."""
    return b"\x03" + account


def name_key(public_key: bytes) -> bytes:
    """Where it stands whose a key is, when it is not simply its own account's."""
    return b"\x04" + public_key


def pair_key(contractor: AccountId, client: AccountId) -> bytes:
    """Where the counts of a pair stand: those of one contractor lie together."""
    return b"\x05" + contractor + client


def commitment_key(client: AccountId, commitment: bytes) -> bytes:
    """Where a promised rating stands: under its client, so that nobody else's copy is in its way."""
    return b"\x06" + client + commitment


def rated_key(acceptance_id: bytes) -> bytes:
    """Where it stands that an acceptance was rated."""
    return b"\x07" + acceptance_id


def passed_key(motion: bytes) -> bytes:
    """Where it stands that a motion took effect."""
    return b"\x08" + motion


def deal_key(client: AccountId, deal: bytes) -> bytes:
    """Where a deal stands: under its client, who chose its name."""
    return b"\x09" + client + deal


def retired_key(place: int) -> bytes:
    """Where the queue of entries to forget has its `place`."""
    return b"\x0a" + place.to_bytes(8, "big")


@dataclass(frozen=True, slots=True)
class State:
    """What the chain's members agree on after a block. Immutable; two that say the same have the same root."""

    trie: Trie[Entry] = field(default_factory=Trie)
    since: Trie[Entry] | None = field(default=None, compare=False, repr=False)
    """The map before the block that gave this state, where that is known; and what the block wrote into it."""
    written: Mapping[bytes, Entry | None] = field(default_factory=dict, compare=False, repr=False)

    def changes(self, before: Trie[Entry]) -> Mapping[bytes, Entry | None]:
        """What turns `before` into this state: at once where that is the map which its block was made on."""
        return self.written if self.since is before else self.trie.changes(before)

    def find(self, kind: type[E], key: bytes) -> E | None:
        """The entry at `key`, or None."""
        return _as(kind, self.trie.get(key))

    def the(self, kind: type[E], key: bytes) -> E:
        """The entry at `key`, which is always there."""
        found = self.find(kind, key)
        assert found is not None, f"the state lacks its {kind.__name__}"
        return found

    @property
    def chain(self) -> Chain:
        """Height, time and totals."""
        return self.the(Chain, CHAIN_KEY)

    @property
    def members(self) -> tuple[bytes, ...]:
        """The committee of the next height."""
        return self.the(Committee, COMMITTEE_KEY).members

    def accounts(self) -> Iterator[tuple[AccountId, Account]]:
        """All accounts, in order of id."""
        for key, entry in self.trie.items(b"\x03"):
            if isinstance(entry, Account):
                yield AccountId(key[1:]), entry

    def pairs(self, contractor: AccountId | None = None) -> Iterator[tuple[AccountId, AccountId, Pair]]:
        """(contractor, client, pair) of all pairs, or of one contractor's, in order."""
        for key, entry in self.trie.items(b"\x05" + (contractor or b"")):
            if isinstance(entry, Pair):
                yield AccountId(key[1:33]), AccountId(key[33:]), entry

    def account_of(self, public_key: bytes) -> AccountId | None:
        """Whose a key is or was, or None."""
        name = self.find(Name, name_key(public_key))
        if name is not None:
            return AccountId(name.account)
        own = AccountId(public_key)
        return own if self.find(Account, account_key(own)) is not None else None

    def export(self) -> Iterator[tuple[bytes, bytes]]:
        """Every key and its value's bytes, in order: a snapshot, which `imported` reads back."""
        for key, entry in self.trie.items():
            yield key, encode_value(entry)


def imported(items: Iterable[tuple[bytes, bytes]]) -> State:
    """The state of a snapshot; RemoteProtocolError where it is none. Compare its root with a certified one."""
    empty: Trie[Entry] = Trie()
    return State(empty.update({key: decode_entry(key, value) for key, value in items}))


def decode_entry(key: bytes, value: bytes) -> Entry:
    """The entry that stands at `key` with these bytes; RemoteProtocolError when nothing like it can."""
    kind, length = _SHAPES.get(key[0] if key else 0, (Entry, 0))
    if not key or len(key) != length:
        raise RemoteProtocolError("bad_state", f"{key[:8].hex()} is not a key of the state")
    entry = unpack(kind, value)
    if encode_value(entry) != value:
        raise RemoteProtocolError("bad_state", f"the entry at {key.hex()} is not packed in the one allowed way")
    return entry


class Draft:
    """The changes of one block on top of a state, which stays as it is.

    A rule reads and writes here. What one transaction writes is part of the draft after `keep`, and gone after `drop`.
    """

    def __init__(self, state: State, rules: Parameters, *, height: int, time_unix_ms: int) -> None:
        self.rules = rules
        self.height = height
        self.set_time(time_unix_ms)
        self.chain = state.chain
        self.members_before = state.members
        self.members = self.members_before
        self.state = state
        self._seen: dict[bytes, Entry | None] = {}
        """What is there now, as far as it was asked for: a block names the same accounts again and again."""
        self._kept: dict[bytes, Entry | None] = {}
        """Only its keys count: what was written so far."""
        self._undo: dict[bytes, Entry | None] = {}
        """What was there before the transaction at work, of what it wrote."""
        self._used: dict[AccountId, int] = {}
        self._user: AccountId | None = None
        self._chain_kept = self.chain
        self._members_kept = self.members

    def set_time(self, time_unix_ms: int) -> None:
        """The time that the rules go by."""
        self.time_unix_ms = time_unix_ms
        self.epoch = time_unix_ms // self.rules.epoch_ms
        self.day = time_unix_ms // DAY_MS

    def find(self, kind: type[E], key: bytes) -> E | None:
        """The entry at `key`, or None."""
        seen = self._seen
        if key in seen:
            found = seen[key]
        else:
            found = seen[key] = self.state.trie.get(key)
        # As `_as`, which every rule would call a dozen times.
        assert found is None or isinstance(found, kind), f"the state has no {kind.__name__} at {key.hex()}"
        return found

    def put(self, key: bytes, entry: Entry | None) -> None:
        """Write an entry."""
        if key not in self._undo:
            seen = self._seen
            self._undo[key] = seen[key] if key in seen else self.state.trie.get(key)
        self._seen[key] = entry

    def remove(self, key: bytes) -> None:
        """Take an entry away."""
        self.put(key, None)

    def count_use(self, account: AccountId) -> int:
        """How many transactions of this block are the account's, with the one that is performed now."""
        self._user = account
        return self._used.get(account, 0) + 1

    def keep(self) -> None:
        """What was written since the last call stays."""
        self._kept.update(self._undo)
        self._undo.clear()
        if self._user is not None:
            self._used[self._user] = self._used.get(self._user, 0) + 1
            self._user = None
        self._chain_kept, self._members_kept = self.chain, self.members

    def drop(self) -> None:
        """What was written since the last `keep` was not."""
        self._seen.update(self._undo)
        self._undo.clear()
        self._user = None
        self.chain, self.members = self._chain_kept, self._members_kept

    def retire(self, key: bytes) -> None:
        """Forget the entry at `key` once nothing may name it any more."""
        due = Retired(key, self.time_unix_ms + self.rules.retention_ms)
        place = retired_key(self.chain.retired_next)
        self._seen[place] = None  # as yet: that need not be looked up
        self.put(place, due)
        self.chain = msgspec.structs.replace(self.chain, retired_next=self.chain.retired_next + 1)

    def forget_retired(self) -> None:
        """Remove what is due, at most MAX_RETIRED_PER_BLOCK entries."""
        first = self.chain.retired_first
        for place in range(first, min(self.chain.retired_next, first + MAX_RETIRED_PER_BLOCK)):
            due = self.find(Retired, retired_key(place))
            if due is None or due.after_unix_ms >= self.time_unix_ms:
                break
            self.remove(due.key)
            self.remove(retired_key(place))
            first = place + 1
        self.chain = msgspec.structs.replace(self.chain, retired_first=first)

    def finish(self) -> State:
        """The state after the block."""
        self.chain = msgspec.structs.replace(self.chain, height=self.height, time_unix_ms=self.time_unix_ms)
        self.put(CHAIN_KEY, self.chain)
        if self.members != self.members_before:
            self.put(COMMITTEE_KEY, Committee(self.members))
        self.keep()
        before = self.state.trie
        now = ((key, self._seen[key]) for key in self._kept)
        written = {key: entry for key, entry in now if entry is not None or before.get(key) is not None}
        return State(before.update(written), before, written)


def _as(kind: type[E], entry: Entry | None) -> E | None:
    assert entry is None or isinstance(entry, kind), f"the state has a {type(entry).__name__} where a {kind} belongs"
    return entry
