"""Ratings: promised by a hash in one epoch, shown in a later one, one for each acceptance, one answer to each.

All that is promised in an epoch was promised unseen, so nobody can answer a bad rating with one of its own in the same
epoch. A job that its client never rates may be filed by its contractor as unrated: that is counted and shown, and says
neither good nor bad.
"""

import msgspec

from node.ledger.chain.accounts import account_at, owner_of, owner_on
from node.ledger.chain.refused import Refused
from node.ledger.chain.state import (
    ACTIVE,
    OUTCOMES,
    UNRATED,
    AccountId,
    Commitment,
    Draft,
    Pair,
    Rated,
    account_key,
    commitment_key,
    pair_key,
    rated_key,
)
from node.ledger.reputation.l1 import rated, replaced
from protocol.signed import AcceptanceTerms
from protocol.transactions import AnswerRating, CommitRating, Delivery, Rating


def commit_rating(draft: Draft, terms: CommitRating) -> None:
    """A promise, which is forgotten if it is not kept."""
    key = commitment_key(owner_of(draft, terms.signer), terms.commitment)
    if draft.find(Commitment, key) is not None:
        raise Refused(f"the account has committed to {terms.commitment.hex()} already")
    draft.put(key, Commitment(draft.epoch))
    draft.retire(key)


def reveal_rating(draft: Draft, rating: Rating, network: str) -> None:
    """A promised rating takes effect."""
    client, contractor = _parties(draft, rating.acceptance, network)
    if account_at(draft, client).standing != ACTIVE:
        raise Refused("the rating's client is revoked or faulty")
    key = commitment_key(client, rating.commitment)
    promised = draft.find(Commitment, key)
    if promised is None:
        raise Refused("the client has not committed to this rating with this salt")
    first, last = promised.epoch + 1, promised.epoch + draft.rules.reveal_epochs
    if not first <= draft.epoch <= last:
        raise Refused(f"committed to in epoch {promised.epoch}, it is shown in {first} to {last}, not {draft.epoch}")
    draft.remove(key)
    _close(draft, rating.acceptance_id, client, contractor, OUTCOMES.index(rating.terms.outcome))
    before = draft.find(Pair, pair_key(contractor, client)) or Pair(day=draft.day)
    counts = rated(before.counts, rating.terms.outcome, draft.day, draft.rules.pair_cap)
    explored = int(rating.terms.explored)
    pair = msgspec.structs.replace(
        before,
        day=counts.day,
        successes=counts.successes,
        failures=counts.failures,
        ratings=before.ratings + 1,
        explored=before.explored + explored,
    )
    draft.put(pair_key(contractor, client), pair)
    account = account_at(draft, contractor)
    sums = replaced(account.sums, before.counts, counts)
    changed = msgspec.structs.replace(
        account,
        day=sums.day,
        successes=sums.successes,
        failures=sums.failures,
        ratings=account.ratings + 1,
        explored=account.explored + explored,
    )
    draft.put(account_key(contractor), changed)


def file_unrated(draft: Draft, signer: bytes, delivery: Delivery, network: str) -> None:
    """A delivery whose client kept silent past the deadline."""
    client, contractor = _parties(draft, delivery.acceptance, network)
    if owner_of(draft, signer) != contractor:
        raise Refused("a delivery is filed as unrated by its contractor")
    due = delivery.awarded_unix_ms + draft.rules.unrated_after_ms
    if draft.time_unix_ms <= due:
        raise Refused(f"its client may rate it until {due}, and it is {draft.time_unix_ms}")
    _close(draft, delivery.acceptance_id, client, contractor, UNRATED)
    pair = draft.find(Pair, pair_key(contractor, client)) or Pair(day=draft.day)
    draft.put(pair_key(contractor, client), msgspec.structs.replace(pair, unrated=pair.unrated + 1))
    account = account_at(draft, contractor)
    draft.put(account_key(contractor), msgspec.structs.replace(account, unrated=account.unrated + 1))


def answer_rating(draft: Draft, terms: AnswerRating) -> None:
    """The contractor's one answer. A dispute is counted and shown; it takes nothing off, or every bad one would be."""
    key = rated_key(terms.acceptance_id)
    rating = draft.find(Rated, key)
    if rating is None or rating.outcome == UNRATED:
        raise Refused(f"there is no recent rating of acceptance {terms.acceptance_id.hex()}")
    if owner_of(draft, terms.signer) != rating.contractor:
        raise Refused("a rating is answered by the contractor that it is about")
    if rating.is_answered:
        raise Refused("this rating has had its one answer")
    last = rating.unix_ms + draft.rules.answer_within_ms
    if draft.time_unix_ms > last:
        raise Refused(f"it could be answered until {last}, and it is {draft.time_unix_ms}")
    draft.put(key, msgspec.structs.replace(rating, is_answered=1))
    if terms.stance == "dispute":
        contractor, client = AccountId(rating.contractor), AccountId(rating.client)
        pair = draft.find(Pair, pair_key(contractor, client)) or Pair(day=draft.day)
        draft.put(pair_key(contractor, client), msgspec.structs.replace(pair, disputed=pair.disputed + 1))
        account = account_at(draft, contractor)
        draft.put(account_key(contractor), msgspec.structs.replace(account, disputed=account.disputed + 1))


def _parties(draft: Draft, acceptance: AcceptanceTerms, network: str) -> tuple[AccountId, AccountId]:
    """Client and contractor of an acceptance that may still be rated."""
    if acceptance.network != network:
        raise Refused(f"the acceptance is of network {acceptance.network!r}, and this chain is of {network!r}")
    oldest = draft.day - draft.rules.rating_days
    if not oldest <= acceptance.day <= draft.day + 1:
        raise Refused(f"the acceptance is of day {acceptance.day}: days {oldest} to {draft.day + 1} are taken")
    client = owner_on(draft, acceptance.client, acceptance.day)
    contractor = owner_on(draft, acceptance.contractor, acceptance.day)
    if client == contractor:
        raise Refused("client and contractor are one account: nobody rates itself")
    return client, contractor


def _close(draft: Draft, acceptance_id: bytes, client: AccountId, contractor: AccountId, outcome: int) -> None:
    key = rated_key(acceptance_id)
    if draft.find(Rated, key) is not None:
        raise Refused(f"acceptance {acceptance_id.hex()} has had its one rating")
    draft.put(key, Rated(client, contractor, draft.time_unix_ms, outcome))
    draft.retire(key)
