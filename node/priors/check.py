"""Checking a market prior: the signature and what it must say, then leaves that its maker was asked to open.

What holds shows that the maker signed these counts, and that behind each opened place stands a receipt with the
seller's own signature on that job with that maker. It does not show that seller and maker are two: who pays itself can
make up good sellers. That comes out when its words are held against what then happens (belief.py).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from crypto.identity import did_key, parse_did_key, short_id
from crypto.jcs import JcsError, parse_canonical
from crypto.jws import JwsError, verify_compact
from crypto.merkle import leaf_hash, verify_inclusion
from node.ledger.journal import open_body
from node.priors.document import MAX_LIFE_S, MILLI, PRIOR_TYP, Ending, Prior, Row, decode_leaf, record_digest
from node.proofs.certificate import CLOCK_SKEW_S, Disclosed
from node.proofs.errors import ProofError
from protocol.errors import RemoteProtocolError
from protocol.receipts import Receipt, Signed
from protocol.signed import FaultTerms, ReceiptTerms

SKEW_MS: Final = 1000 * CLOCK_SKEW_S


@dataclass(frozen=True, slots=True)
class Opened:
    """A leaf that holds: whose it is, and how the job ended."""

    row: Row
    ending: Ending
    digest: bytes


def read(token: str) -> Prior:
    """What a token says, its signature checked, and neither its dates nor whether it was asked for."""
    try:
        signed = verify_compact(token, typ=PRIOR_TYP)
        prior = msgspec.convert(parse_canonical(signed.payload), Prior)
    except JwsError as error:
        raise ProofError("bad_signature", str(error)) from error
    except (JcsError, msgspec.ValidationError) as error:
        raise ProofError("malformed", f"it was signed but cannot be read: {error}") from error
    if prior.iss != did_key(signed.signer):
        raise ProofError("bad_signature", f"its maker is {prior.iss}, but {did_key(signed.signer)} signed it")
    _check_rows(prior)
    return prior


def check(prior: Prior, *, maker: bytes, network: str, skill: str, now_unix_s: int, last: Prior | None = None) -> None:
    """ProofError unless `maker` says it about this skill in this network, for today, and it is no older than `last`."""
    if prior.iss != did_key(maker):
        raise ProofError("wrong_signer", f"it is {prior.iss}'s, and {short_id(maker)} was asked")
    if prior.network != network:
        raise ProofError("wrong_network", f"it is of the network {prior.network!r}, this is {network!r}")
    if prior.skill != skill:
        raise ProofError("wrong_subject", f"it is about {prior.skill}, and {skill} was asked about")
    if now_unix_s < prior.iat - CLOCK_SKEW_S:
        raise ProofError("not_yet_valid", f"it begins in {prior.iat - now_unix_s} s")
    if now_unix_s >= prior.exp:
        raise ProofError("expired", f"it ended {now_unix_s - prior.exp} s ago")
    if last is not None and prior.iat < last.iat:
        raise ProofError("replayed", f"it is {last.iat - prior.iat} s older than what this maker said before")
    if last is not None and prior.iat == last.iat and prior != last:
        raise ProofError("replayed", "this maker said something else in the same second")


def check_opened(prior: Prior, shown: Sequence[Disclosed], asked: Collection[int]) -> list[Opened]:
    """ProofError unless these are all the leaves that were asked for, each what its place says, none counted twice."""
    if sorted(one.index for one in shown) != sorted(asked):
        raise ProofError("malformed", f"{len(shown)} leaves were shown where {len(asked)} others were asked for")
    opened = [_opened(prior, one) for one in shown]
    if len({one.digest for one in opened}) < len(opened):
        raise ProofError("counted_twice", "one receipt stands at two leaves")
    return opened


def _opened(prior: Prior, shown: Disclosed) -> Opened:
    row = prior.row_of_leaf(shown.index)
    root = bytes.fromhex(prior.tree.root)
    if row is None or not verify_inclusion(leaf_hash(shown.leaf), shown.index, prior.tree.leaves, shown.path, root):
        raise ProofError("not_in_root", f"leaf {shown.index} is not in the tree that the maker signed")
    try:
        kind, record = decode_leaf(shown.leaf)
        content = open_body(kind, record)
    except (ValueError, RemoteProtocolError) as error:
        # It stands in the tree that the maker signed: nobody else can have put it there.
        raise ProofError("miscounted", f"leaf {shown.index}: {error}") from error
    ending = row.ending(shown.index)
    if isinstance(content, Receipt):
        _check_receipt(prior, row, ending, content.terms)
    elif isinstance(content, Signed) and isinstance(content.terms, FaultTerms):
        _check_fault(prior, row, ending, content.terms)
    else:
        raise ProofError("miscounted", f"leaf {shown.index} holds no receipt and no fault report")
    return Opened(row, ending, record_digest(record))


def _check_receipt(prior: Prior, row: Row, ending: Ending, terms: ReceiptTerms) -> None:
    _check_parties(prior, row, terms.client, terms.contractor, terms.network)
    if terms.skill != prior.skill:
        raise ProofError("wrong_subject", f"a receipt about {terms.skill} is counted for {prior.skill}")
    if ending != ("good" if terms.verdict == "accepted" else "bad"):
        raise ProofError("miscounted", f"a receipt of {terms.verdict} work is counted as {ending}")
    _check_time(prior, row, terms.finished_unix_ms)


def _check_fault(prior: Prior, row: Row, ending: Ending, terms: FaultTerms) -> None:
    _check_parties(prior, row, terms.client, terms.contractor, terms.network)
    if terms.reporter != terms.client or ending != "fault":
        raise ProofError("miscounted", f"a fault report is counted as {ending}, or is not the maker's")
    _check_time(prior, row, terms.unix_ms)


def _check_parties(prior: Prior, row: Row, client: bytes, contractor: bytes, network: str) -> None:
    if network != prior.network:
        raise ProofError("wrong_network", f"a receipt of the network {network!r} is counted for {prior.network!r}")
    if did_key(client) != prior.iss:
        raise ProofError("wrong_signer", f"a receipt of {short_id(client)}'s is counted as this maker's probe")
    if did_key(contractor) != row.sub:
        raise ProofError("wrong_subject", f"a receipt of {short_id(contractor)}'s work is counted for another seller")


def _check_time(prior: Prior, row: Row, unix_ms: int) -> None:
    if not row.first_unix_s * 1000 - SKEW_MS <= unix_ms <= row.last_unix_s * 1000 + SKEW_MS:
        raise ProofError("miscounted", "a receipt is from another time than its seller's first and last probe")


def _check_rows(prior: Prior) -> None:
    """Whether the rows add up: each seller once, its leaves after those of the one before, no more counted than there
    are."""
    at = 0
    for row in prior.rows:
        parse_did(row.sub)
        if row.start != at or not row.leaves:
            raise ProofError("miscounted", f"the leaves of {row.sub} do not begin at {at}, or there are none")
        if row.good_milli > MILLI * row.good or row.bad_milli > MILLI * (row.bad + row.faults):
            raise ProofError("miscounted", f"more is counted of {row.sub} than there are leaves")
        if not row.first_unix_s <= row.last_unix_s <= prior.iat + CLOCK_SKEW_S:
            raise ProofError("miscounted", f"the probes of {row.sub} end before they begin, or after the document")
        at += row.leaves
    if at != prior.tree.leaves:
        raise ProofError("miscounted", f"the rows count {at} leaves, the tree has {prior.tree.leaves}")
    if _doubled(row.sub for row in prior.rows):
        raise ProofError("malformed", "a seller has two rows")
    if not 0 < prior.exp - prior.iat <= MAX_LIFE_S:
        raise ProofError("malformed", f"it lives {prior.exp - prior.iat} s: a prior lives up to {MAX_LIFE_S} s")


def parse_did(did: str) -> bytes:
    """The key that a row is about; ProofError when it names no node."""
    try:
        return parse_did_key(did)
    except ValueError as error:
        raise ProofError("malformed", f"it names a seller that is no node: {error}") from error


def _doubled(names: Iterable[str]) -> bool:
    listed = list(names)
    return len(set(listed)) < len(listed)
