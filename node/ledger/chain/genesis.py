"""Where a community chain begins: name, first members and credits, the numbers in its rules. Its hash names the chain.

The hash is the `previous` of block 1 and the `chain` of everything that is signed for it, so that nothing can be moved
from one chain to another. Only one packing is taken: two files that say the same are the same file.
"""

from itertools import pairwise
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from crypto.hashing import tagged_hash
from protocol.consensus import MAX_MEMBERS
from protocol.errors import RemoteProtocolError
from protocol.fields import MAX_MILLIS, Hash32, Key32, Name, UnixMillis
from protocol.packing import pack, unpack
from protocol.receipts import DAY_MS
from protocol.signed import Network
from protocol.transactions import Credits

MAX_GENESIS_BYTES: Final = 2**19
MAX_GENESIS_ACCOUNTS: Final = 2048
"""More would be more values than one message may hold; later accounts join by transactions."""
MAX_ISSUED_CREDITS: Final = 10**18
"""Of all accounts together: any sum fits 64 bits."""

Duration = Annotated[int, Meta(ge=1, le=MAX_MILLIS)]
Count = Annotated[int, Meta(ge=1, le=10**6)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of what a genesis file is made of."""


class Parameters(_Strict, frozen=True, kw_only=True):
    """The numbers in the chain's rules, for good. All times are of blocks, whose clock the members agree on."""

    # --- quotas, in place of fees
    epoch_ms: Duration = DAY_MS
    """What quotas count in, and the least time between committing to a rating and revealing it."""
    transactions_per_epoch: Count = 2_000
    """Of one account: a busy node's jobs of a day, twice (a commitment and a response each)."""
    transactions_per_block: Count = 256
    """Of one account, so that a burst of one leaves room for others."""

    # --- ratings
    reveal_epochs: Annotated[int, Meta(ge=1, le=1000)] = 7
    """For so many epochs after its own a commitment may be revealed: a week of being away."""
    rating_days: Annotated[int, Meta(ge=1, le=3650)] = 30
    """An acceptance older than this is rated no more."""
    unrated_after_ms: Duration = 14 * DAY_MS
    """From an award on; then its contractor may file the delivery as unrated."""
    answer_within_ms: Duration = 14 * DAY_MS
    """From a rating on, for the contractor's one answer."""
    pair_cap: Annotated[int, Meta(ge=1, le=1000)] = 8
    """Most ratings that one client's word about one contractor weighs: the ninth only pushes out older ones."""

    # --- who is let in
    join_bond: Credits = 100
    """What an identity costs where the committee does not vote it in. Lost for good when the key contradicts itself."""

    # --- credits
    review_ms: Duration = 3 * DAY_MS
    """For the client to release or dispute what was submitted; then silence pays the contractor."""
    rule_ms: Duration = 7 * DAY_MS
    """For the arbiter to rule; then silence splits."""
    longest_deal_ms: Duration = 90 * DAY_MS
    """Most time to submit that a client may give, so that every lock ends."""

    # --- how long the state remembers
    retention_ms: Duration = 60 * DAY_MS
    """Rated acceptances, closed deals and passed motions: longer than anything may still name them."""


class Holding(_Strict, frozen=True, kw_only=True):
    """An account of the first hour. Members have one even where none is listed."""

    key: Key32
    credits: Credits = 0
    next_key_sha256: Hash32 | None = None


class Genesis(_Strict, frozen=True, kw_only=True):
    """All that the first block hangs on. Members and accounts are sorted by key, each there once."""

    name: Name
    network: Network
    time_unix_ms: UnixMillis
    members: Annotated[tuple[Key32, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]
    accounts: Annotated[tuple[Holding, ...], Meta(max_length=MAX_GENESIS_ACCOUNTS)] = ()
    parameters: Parameters = Parameters()


def encode_genesis(genesis: Genesis) -> bytes:
    """The one packing of a genesis, members and accounts in order; RemoteProtocolError where it contradicts itself."""
    ordered = msgspec.structs.replace(
        genesis,
        members=tuple(sorted(genesis.members)),
        accounts=tuple(sorted(genesis.accounts, key=lambda account: account.key)),
    )
    data = pack(ordered)
    decode_genesis(data)
    return data


def decode_genesis(data: bytes) -> Genesis:
    """The genesis in `data`; RemoteProtocolError for anything that `encode_genesis` would not have made."""
    genesis = unpack(Genesis, data, MAX_GENESIS_BYTES)
    if pack(genesis) != data:
        raise RemoteProtocolError("bad_genesis", "it is not packed in the one allowed way")
    _check_ascending("members", genesis.members)
    _check_ascending("accounts", tuple(account.key for account in genesis.accounts))
    issued = sum(account.credits for account in genesis.accounts)
    if issued > MAX_ISSUED_CREDITS:
        raise RemoteProtocolError("bad_genesis", f"{issued} credits are over the limit of {MAX_ISSUED_CREDITS}")
    rules = genesis.parameters
    remembered_days = rules.retention_ms // DAY_MS
    if remembered_days < rules.rating_days + 2:
        raise RemoteProtocolError(
            "bad_genesis",
            f"retention_ms keeps {remembered_days} days: an acceptance of {rules.rating_days} could be rated twice; "
            f"it has to be {(rules.rating_days + 2) * DAY_MS} at least",
        )
    if rules.retention_ms <= max(rules.answer_within_ms, rules.reveal_epochs * rules.epoch_ms + rules.epoch_ms):
        raise RemoteProtocolError("bad_genesis", "retention_ms has to outlast answer_within_ms and all reveal_epochs")
    return genesis


def chain_id(genesis: bytes) -> bytes:
    """The 32 bytes that name a chain: a hash of its packed genesis."""
    return tagged_hash(b"chain-genesis", genesis)


def _check_ascending(what: str, keys: tuple[bytes, ...]) -> None:
    if any(one >= two for one, two in pairwise(keys)):
        raise RemoteProtocolError("bad_genesis", f"its {what} are not in ascending order of key, each once")
