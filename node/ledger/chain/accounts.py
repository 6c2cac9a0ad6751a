"""Accounts: whose a key is, which transactions its owner has used up, how identities begin, pass on and end."""

import msgspec

from node.ledger.chain.refused import Refused
from node.ledger.chain.state import (
    ACTIVE,
    REVOKED,
    STANDINGS,
    Account,
    AccountId,
    Draft,
    Name,
    account_key,
    name_key,
)
from protocol.receipts import DAY_MS
from protocol.transactions import Join, NameSuccessor, Owned, Revoke, Succeed, key_commitment

SEQUENCE_WINDOW = 64
"""How far a transaction may come behind its account's latest: enough for what several members relay out of order."""
_WINDOW_MASK = (1 << SEQUENCE_WINDOW) - 1


def account_at(draft: Draft, account: AccountId) -> Account:
    """An account that is there."""
    found = draft.find(Account, account_key(account))
    if found is None:
        raise Refused(f"there is no account {account.hex()}")
    return found


def owner_of(draft: Draft, key: bytes) -> AccountId:
    """The account whose key this is, was or will never be again; Refused when it is nobody's."""
    return _owner(draft, key)[0]


def _owner(draft: Draft, key: bytes) -> tuple[AccountId, Name | None]:
    name = draft.find(Name, name_key(key))
    owner = AccountId(key if name is None else name.account)
    if draft.find(Account, account_key(owner)) is None:
        raise Refused(f"key {key.hex()} has no account on this chain: it has to join first")
    return owner, name


def active_owner(draft: Draft, key: bytes) -> AccountId:
    """The account that acts by this key now."""
    owner = owner_of(draft, key)
    account = account_at(draft, owner)
    if account.standing != ACTIVE:
        raise Refused(f"the account of key {key.hex()} is {STANDINGS[account.standing]}")
    if account.key != key:
        raise Refused(f"key {key.hex()} was succeeded by {account.key.hex()}")
    return owner


def owner_on(draft: Draft, key: bytes, day: int) -> AccountId:
    """The account that acted by this key on `day`: what an old key signed in its time still counts."""
    owner, name = _owner(draft, key)
    if name is not None and name.until_unix_ms and day * DAY_MS > name.until_unix_ms:
        raise Refused(f"key {key.hex()} ended before day {day}, from which this signature is")
    return owner


def use_sequence(draft: Draft, terms: Owned) -> None:
    """Count a transaction against its signer: each sequence number once, and no more than the quotas allow.

    A window of the last 64 numbers, as RFC 4303, 3.4.3 has it, lets what was sent together arrive in any order.
    """
    owner = active_owner(draft, terms.signer)
    account = account_at(draft, owner)
    ahead = terms.sequence - account.last_sequence
    if ahead > 0:
        window = 1 if ahead >= SEQUENCE_WINDOW else (account.sequence_window << ahead | 1) & _WINDOW_MASK
    elif -ahead >= SEQUENCE_WINDOW or account.sequence_window >> -ahead & 1:
        raise Refused(f"sequence {terms.sequence} is used or too old: the account has come to {account.last_sequence}")
    else:
        window = account.sequence_window | 1 << -ahead
    in_epoch = account.epoch_used + 1 if account.epoch == draft.epoch else 1
    in_block = draft.count_use(owner)
    if in_epoch > draft.rules.transactions_per_epoch:
        raise Refused(f"the account has used its {draft.rules.transactions_per_epoch} transactions of this epoch")
    if in_block > draft.rules.transactions_per_block:
        raise Refused(f"the account has used its {draft.rules.transactions_per_block} transactions of this block")
    changed = msgspec.structs.replace(
        account,
        last_sequence=max(account.last_sequence, terms.sequence),
        sequence_window=window,
        epoch=draft.epoch,
        epoch_used=in_epoch,
    )
    draft.put(account_key(owner), changed)


def join(draft: Draft, terms: Join) -> None:
    """A new account; its bond comes from whoever vouches for it and stays locked as long as there is a chain."""
    if terms.bond < draft.rules.join_bond:
        raise Refused(f"a bond of {terms.bond} credits is below the {draft.rules.join_bond} that joining costs")
    payer = owner_of(draft, terms.signer)
    account = account_at(draft, payer)
    if account.credits < terms.bond:
        raise Refused(f"a bond of {terms.bond} credits is more than the account's {account.credits}")
    open_account(draft, terms.key, bond=terms.bond, next_key_sha256=terms.next_key_sha256 or b"")
    draft.put(account_key(payer), msgspec.structs.replace(account, credits=account.credits - terms.bond))


def open_account(draft: Draft, key: bytes, *, bond: int = 0, next_key_sha256: bytes = b"") -> None:
    """A new account for a key that never had one."""
    check_unknown(draft, key)
    draft.put(
        account_key(AccountId(key)),
        Account(key=key, bond=bond, next_key_sha256=next_key_sha256, joined_unix_ms=draft.time_unix_ms),
    )


def check_unknown(draft: Draft, key: bytes) -> None:
    """Refused when a key is or was an account's."""
    own = draft.find(Account, account_key(AccountId(key)))
    if own is not None or draft.find(Name, name_key(key)) is not None:
        raise Refused(f"key {key.hex()} is or was an account's already")


def name_successor(draft: Draft, terms: NameSuccessor) -> None:
    """The key that will follow, once: else whoever steals a key could name its own."""
    owner = owner_of(draft, terms.signer)
    account = account_at(draft, owner)
    if account.next_key_sha256:
        raise Refused("this key has named its successor already, and that stands")
    draft.put(account_key(owner), msgspec.structs.replace(account, next_key_sha256=terms.next_key_sha256))


def succeed(draft: Draft, terms: Succeed) -> None:
    """The account passes to the named key; its history, credits and deals stay where they are."""
    owner = owner_of(draft, terms.signer)
    account = account_at(draft, owner)
    if not account.next_key_sha256 or key_commitment(terms.new_key) != account.next_key_sha256:
        raise Refused(f"key {terms.new_key.hex()} is not the successor that this account has named")
    check_unknown(draft, terms.new_key)
    end_key(draft, owner, account.key)
    draft.put(name_key(terms.new_key), Name(owner))
    changed = msgspec.structs.replace(account, key=terms.new_key, next_key_sha256=terms.next_key_sha256 or b"")
    draft.put(account_key(owner), changed)


def revoke(draft: Draft, terms: Revoke) -> None:
    """The end of an account by its own key or by the named successor, which its owner kept elsewhere."""
    owner = active_owner(draft, terms.key)
    account = account_at(draft, owner)
    if terms.by != terms.key and key_commitment(terms.by) != account.next_key_sha256:
        raise Refused(f"key {terms.by.hex()} is neither the account's own nor its named successor")
    end_account(draft, owner, REVOKED)


def end_account(draft: Draft, owner: AccountId, standing: int) -> None:
    """Nothing more is taken from this account; the committee loses it at the end of this block or a later one."""
    account = account_at(draft, owner)
    end_key(draft, owner, account.key)
    draft.put(account_key(owner), msgspec.structs.replace(account, standing=standing))


def end_key(draft: Draft, owner: AccountId, key: bytes) -> None:
    """From now on nothing that `key` signs counts."""
    draft.put(name_key(key), Name(owner, draft.time_unix_ms))
