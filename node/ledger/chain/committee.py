"""What the committee decides by a quorum, and who is in it: admission, grants, members that come, go and pass on."""

import msgspec

from node.ledger.chain.accounts import account_at, active_owner, open_account, owner_of
from node.ledger.chain.genesis import MAX_ISSUED_CREDITS
from node.ledger.chain.refused import Refused
from node.ledger.chain.state import ACTIVE, Draft, Passed, account_key, passed_key
from node.ledger.pbft.quorum import Committee, change_refused
from protocol.transactions import Admit, Approved, Grant, Reconfigure


def approve(draft: Draft, terms: Approved, signers: tuple[bytes, ...]) -> None:
    """Check that a quorum of the members signed a motion that is new and still valid, and remember it.

    What is remembered outlasts every motion's validity, so none takes effect twice.
    """
    committee = Committee(draft.members_before)
    strangers = [key for key in signers if key not in committee]
    if strangers:
        raise Refused(f"key {strangers[0].hex()} approves and is no member")
    if len(signers) < committee.q:
        raise Refused(f"{len(signers)} of {len(committee.members)} members approve: it takes {committee.q}")
    if terms.valid_until_unix_ms < draft.time_unix_ms:
        raise Refused(f"the motion was valid until {terms.valid_until_unix_ms}, and it is {draft.time_unix_ms}")
    if terms.valid_until_unix_ms > draft.time_unix_ms + draft.rules.retention_ms:
        raise Refused(f"a motion may be valid for {draft.rules.retention_ms} ms at most")
    if draft.find(Passed, passed_key(terms.motion)) is not None:
        raise Refused(f"motion {terms.motion.hex()} has taken effect already")
    draft.put(passed_key(terms.motion), Passed(draft.height))
    draft.retire(passed_key(terms.motion))


def admit(draft: Draft, terms: Admit) -> None:
    """A new account without a bond."""
    open_account(draft, terms.key)


def grant(draft: Draft, terms: Grant) -> None:
    """New credits."""
    owner = active_owner(draft, terms.account)
    account = account_at(draft, owner)
    issued = draft.chain.issued_credits + terms.credits
    if issued > MAX_ISSUED_CREDITS:
        raise Refused(f"{issued} credits in all are over the limit of {MAX_ISSUED_CREDITS}")
    draft.put(account_key(owner), msgspec.structs.replace(account, credits=account.credits + terms.credits))
    draft.chain = msgspec.structs.replace(draft.chain, issued_credits=issued)


def reconfigure(draft: Draft, terms: Reconfigure) -> None:
    """Members come and go from the next height on, at most max(1, f) of each in one block."""
    if not terms.add and not terms.remove:
        raise Refused("a reconfiguration adds or removes somebody")
    for key in terms.add:
        active_owner(draft, key)
        if key in draft.members:
            raise Refused(f"key {key.hex()} is a member already")
    for key in terms.remove:
        if key not in draft.members:
            raise Refused(f"key {key.hex()} is no member")
    _change(draft, tuple(key for key in draft.members if key not in terms.remove) + terms.add)


def settle_members(draft: Draft) -> None:
    """Once a block: members whose account has ended go, those whose key was succeeded pass on.

    As far as the limit of changes allows; the rest follows in the next blocks. The last member stays, since a
    chain without one cannot even add another.
    """
    for key in draft.members:
        account = account_at(draft, owner_of(draft, key))
        if account.standing != ACTIVE:
            changed = tuple(member for member in draft.members if member != key)
        elif account.key != key:
            changed = tuple(account.key if member == key else member for member in draft.members)
        else:
            continue
        if change_refused(Committee(draft.members_before), changed) is None:
            draft.members = changed


def _change(draft: Draft, members: tuple[bytes, ...]) -> None:
    if why := change_refused(Committee(draft.members_before), members):
        raise Refused(why)
    draft.members = members
