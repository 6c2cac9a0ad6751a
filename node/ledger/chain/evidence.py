"""Evidence: two signatures of one key that no honest key makes both. The key's account ends, and its bond is lost.

What counts as a contradiction has to be beyond doubt: an honest node that crashed and signed again must never be
caught. So only what is written down before it is signed is here (votes), or what is random each time (quotes).
"""

from collections.abc import Callable
from typing import Final

import msgspec

from crypto.identity import verify
from node.ledger.chain.accounts import account_at, active_owner, end_account
from node.ledger.chain.refused import Refused
from node.ledger.chain.state import FAULTY, Draft, account_key
from protocol.consensus import PHASE_LABELS, Equivocation, decode_ballot
from protocol.packing import unpack
from protocol.signed import LABELS, QuoteTerms
from protocol.transactions import ReportConflict

_Slot = tuple[object, ...]


def report_conflict(draft: Draft, terms: ReportConflict, chain: bytes) -> None:
    """The end of an account that contradicted itself, by the key that it has now."""
    check_conflict(terms, chain)
    owner = active_owner(draft, terms.accused)
    end_account(draft, owner, FAULTY)
    account = account_at(draft, owner)
    treasury = draft.chain.treasury_credits + account.bond
    draft.put(account_key(owner), msgspec.structs.replace(account, bond=0))
    draft.chain = msgspec.structs.replace(draft.chain, treasury_credits=treasury)


def check_conflict(terms: ReportConflict, chain: bytes) -> None:
    """RemoteProtocolError unless the accused signed both bodies and they contradict each other."""
    slot_of = _SLOTS.get(terms.label)
    if slot_of is None:
        raise Refused(f"two bodies under {terms.label!r} do not contradict each other, whatever they say")
    if terms.body_1 == terms.body_2 or slot_of(terms.body_1, chain) != slot_of(terms.body_2, chain):
        raise Refused("the two bodies do not contradict each other")
    for body, signature in ((terms.body_1, terms.signature_1), (terms.body_2, terms.signature_2)):
        if not verify(terms.accused, terms.label.encode(), body, signature):
            raise Refused(f"one of the two bodies is not signed by key {terms.accused.hex()}")


def vote_conflict(evidence: Equivocation, *, chain: bytes, signer: bytes, sequence: int) -> ReportConflict:
    """The transaction that reports two votes which exclude each other."""
    first, second = evidence.first, evidence.second
    return ReportConflict(
        chain=chain,
        signer=signer,
        sequence=sequence,
        accused=first.signer,
        label=PHASE_LABELS[first.phase].decode(),
        body_1=first.ballot,
        signature_1=first.signature,
        body_2=second.ballot,
        signature_2=second.signature,
    )


def _ballot_slot(body: bytes, chain: bytes) -> _Slot:
    """One vote a phase (the label's), height and view."""
    ballot = decode_ballot(body)
    if ballot.chain != chain:
        raise Refused("a vote of another chain")
    return ballot.height, ballot.view


def _quote_slot(body: bytes, _chain: bytes) -> _Slot:
    """One quote under a random id."""
    return (unpack(QuoteTerms, body).quote_id,)


_SLOTS: Final[dict[str, Callable[[bytes, bytes], _Slot]]] = {
    PHASE_LABELS["prepare"].decode(): _ballot_slot,
    PHASE_LABELS["commit"].decode(): _ballot_slot,
    LABELS[QuoteTerms].decode(): _quote_slot,
}
"""By signature label: what an honest key signs only once."""
