"""Credits in escrow: integer credits of one community that stand for nothing outside it, locked for one deal each.

    FUND client locks -> SUBMIT contractor asks -> RELEASE client pays
                      |                         -> DISPUTE client -> RULE arbiter splits
                      -> REFUND contractor gives back, at any time before the end

Silence has a meaning, which EXPIRE by anybody brings about: a contractor that does not submit in time gets nothing, a
client that does not review in time pays, and between two that wait for an arbiter in vain it is split.
Nothing here makes or loses a credit, and no account goes below zero.
"""

import msgspec

from node.ledger.chain.accounts import account_at, active_owner, owner_of
from node.ledger.chain.refused import Refused
from node.ledger.chain.state import (
    CLOSED,
    DISPUTED,
    FUNDED,
    SUBMITTED,
    AccountId,
    Deal,
    Draft,
    account_key,
    deal_key,
)
from protocol.transactions import Dispute, Expire, Fund, InDeal, Refund, Release, Rule, Submit

_STAGES = ("funded", "submitted", "disputed", "closed")


def fund(draft: Draft, terms: Fund) -> None:
    """The client's credits are locked until the deal ends."""
    client = owner_of(draft, terms.signer)
    contractor, arbiter = active_owner(draft, terms.contractor), active_owner(draft, terms.arbiter)
    if len({client, contractor, arbiter}) != 3:
        raise Refused("client, contractor and arbiter of a deal are three different accounts")
    key = deal_key(client, terms.deal)
    if draft.find(Deal, key) is not None:
        raise Refused(f"the client has a deal named {terms.deal.hex()} already")
    if terms.submit_within_ms > draft.rules.longest_deal_ms:
        raise Refused(f"a deal of {terms.submit_within_ms} ms is over the limit of {draft.rules.longest_deal_ms}")
    account = account_at(draft, client)
    if account.credits < terms.credits:
        raise Refused(f"{terms.credits} credits to lock are more than the account's {account.credits}")
    draft.put(account_key(client), msgspec.structs.replace(account, credits=account.credits - terms.credits))
    draft.put(key, Deal(contractor, arbiter, terms.credits, draft.time_unix_ms + terms.submit_within_ms))


def submit(draft: Draft, terms: Submit) -> None:
    """The contractor asks for its pay; the client has `review_ms` to say no."""
    client, deal = _deal(draft, terms, FUNDED)
    _only(draft, terms, deal.contractor, "contractor")
    _in_time(draft, deal)
    if terms.credits > deal.credits:
        raise Refused(f"{terms.credits} credits are more than the {deal.credits} that are locked")
    draft.put(
        deal_key(client, terms.deal),
        msgspec.structs.replace(
            deal,
            stage=SUBMITTED,
            asked_credits=terms.credits,
            due_unix_ms=draft.time_unix_ms + draft.rules.review_ms,
        ),
    )


def release(draft: Draft, terms: Release) -> None:
    """The client pays what was asked, before or after it disputed."""
    client, deal = _deal(draft, terms, SUBMITTED, DISPUTED)
    _only(draft, terms, client, "client")
    _close(draft, client, terms.deal, deal, deal.asked_credits)


def refund(draft: Draft, terms: Refund) -> None:
    """The contractor gives everything back."""
    client, deal = _deal(draft, terms, FUNDED, SUBMITTED, DISPUTED)
    _only(draft, terms, deal.contractor, "contractor")
    _close(draft, client, terms.deal, deal, 0)


def dispute(draft: Draft, terms: Dispute) -> None:
    """The client does not want to pay what was asked: the arbiter has `rule_ms` to say who is right."""
    client, deal = _deal(draft, terms, SUBMITTED)
    _only(draft, terms, client, "client")
    _in_time(draft, deal)
    disputed = msgspec.structs.replace(
        deal,
        stage=DISPUTED,
        due_unix_ms=draft.time_unix_ms + draft.rules.rule_ms,
        exhibit_sha256=terms.exhibit_sha256 or b"",
    )
    draft.put(deal_key(client, terms.deal), disputed)


def rule(draft: Draft, terms: Rule) -> None:
    """The arbiter says how much of what was asked the contractor gets."""
    client, deal = _deal(draft, terms, DISPUTED)
    _only(draft, terms, deal.arbiter, "arbiter")
    _in_time(draft, deal)
    if terms.contractor_credits > deal.asked_credits:
        raise Refused(f"{terms.contractor_credits} credits are more than the {deal.asked_credits} asked for")
    _close(draft, client, terms.deal, deal, terms.contractor_credits)


def expire(draft: Draft, terms: Expire) -> None:
    """What silence means, once the deal's time has run out."""
    client, deal = _deal(draft, terms, FUNDED, SUBMITTED, DISPUTED)
    if draft.time_unix_ms <= deal.due_unix_ms:
        raise Refused(f"the deal is open until {deal.due_unix_ms}, and it is {draft.time_unix_ms}")
    _close(draft, client, terms.deal, deal, _paid_in_silence(deal))


def _paid_in_silence(deal: Deal) -> int:
    """Silent contractor: a refund. Silent client: what was asked. Silent arbiter: half of it, the odd credit stays."""
    if deal.stage == FUNDED:
        return 0
    return deal.asked_credits if deal.stage == SUBMITTED else deal.asked_credits // 2


def _close(draft: Draft, client: AccountId, name: bytes, deal: Deal, paid: int) -> None:
    for owner, credits_ in ((AccountId(deal.contractor), paid), (client, deal.credits - paid)):
        account = account_at(draft, owner)
        draft.put(account_key(owner), msgspec.structs.replace(account, credits=account.credits + credits_))
    key = deal_key(client, name)
    draft.put(key, msgspec.structs.replace(deal, stage=CLOSED, paid_credits=paid, due_unix_ms=draft.time_unix_ms))
    draft.retire(key)


def _deal(draft: Draft, terms: InDeal, *stages: int) -> tuple[AccountId, Deal]:
    client = owner_of(draft, terms.client)
    deal = draft.find(Deal, deal_key(client, terms.deal))
    if deal is None:
        raise Refused(f"the client has no deal named {terms.deal.hex()}")
    if deal.stage not in stages:
        raise Refused(f"deal {terms.deal.hex()} is {_STAGES[deal.stage]}, which does not allow this")
    return client, deal


def _only(draft: Draft, terms: InDeal, party: bytes, role: str) -> None:
    if owner_of(draft, terms.signer) != party:
        raise Refused(f"only the {role} of a deal may do this, and that is not {terms.signer.hex()}")


def _in_time(draft: Draft, deal: Deal) -> None:
    if draft.time_unix_ms > deal.due_unix_ms:
        raise Refused(f"it was due at {deal.due_unix_ms}, and it is {draft.time_unix_ms}: only expire is left")
