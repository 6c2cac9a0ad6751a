"""Receipts, ratings, fault reports and the journal: what peers and disks hand us with signatures on it."""

import json
from collections.abc import Iterator

import msgspec

from node.errors import NodeError
from node.ledger.journal import (
    KINDS,
    Chain,
    Entry,
    JournalRecord,
    Kind,
    award_record,
    export_entry,
    export_head,
    fault_record,
    genesis,
    next_entry,
    note_record,
    offer_record,
    open_body,
    paid_micro,
    rating_record,
    receipt_record,
    sign_head,
    task_of,
)
from node.outsource.delivered import Delivered, find_delivered, job_of
from node.owner.records import _body, _row
from protocol.errors import RemoteProtocolError
from protocol.packing import pack, unpack
from protocol.receipts import (
    check_acceptance,
    check_rating,
    countersign,
    evidence,
    offer_receipt,
    open_evidence,
    open_fault,
    open_rating,
    open_receipt,
    rate,
    report_fault,
)
from protocol.signed import (
    AwardTerms,
    Body,
    FaultTerms,
    QuoteTerms,
    RatingTerms,
    ReceiptTerms,
    ResultTerms,
    sign,
    sign_body,
)
from tests.fuzz import scripts
from tests.fuzz.areas.messages import signed_bodies
from tests.fuzz.target import Target, plain
from tests.harness.jobs import CLIENT, CONTRACTOR, NOW_UNIX_MS, accepted, job, quote_terms, receipt, receipt_terms


def parse_receipt(data: bytes) -> None:
    """A receipt's body under both real signatures, offered to the contractor too."""
    client, contractor = (sign_body(party, ReceiptTerms, data) for party in (CLIENT, CONTRACTOR))
    made = open_receipt(data, client, contractor)
    assert len(made.digest) == 32
    countersign(CONTRACTOR, data, client, job())


def parse_rating(data: bytes) -> None:
    """A rating's body under its client's signature."""
    rating, _ = open_rating(data, sign_body(CLIENT, RatingTerms, data))
    check_rating(rating, receipt())


def parse_fault(data: bytes) -> None:
    """A fault report's body under its reporter's signature."""
    open_fault(data, sign_body(CLIENT, FaultTerms, data))


def parse_evidence(data: bytes) -> None:
    """One piece of evidence, and the same under a signature that is right for any body."""
    parties = (CLIENT.public_key, CONTRACTOR.public_key)
    opened = unpack(list[object], data, 8192)
    if len(opened) == 3 and isinstance(opened[1], bytes):
        open_evidence(evidence(QuoteTerms, opened[1], sign_body(CLIENT, QuoteTerms, opened[1])), parties)
    open_evidence(data, parties)


def parse_entry(data: bytes) -> None:
    """A journal entry, as a script of one step: its kind and its body, whose signatures are made right.

    The owner's views of it never fail, whatever it is.
    """
    number, raw = (*scripts.decode(data), (0, b""))[0]
    kind = KINDS[number % len(KINDS)]
    body = _resigned(kind, raw)
    entry = next_entry(1, genesis(CLIENT.public_key), NOW_UNIX_MS, kind, body)
    assert msgspec.json.encode(_row(entry))
    assert msgspec.json.encode(_body(entry))
    chain = Chain(CLIENT.public_key, sign_head(CLIENT, 1, entry.hash))
    broken = chain.feed([entry])
    assert broken == chain.finish()
    open_body(kind, body)
    assert broken is None
    task_of(kind, body)
    paid_micro([entry], CONTRACTOR.public_key)
    delivered = find_delivered([entry])
    if delivered is not None:
        job_of(delivered)


def _resigned(kind: Kind, body: bytes) -> bytes:
    """The body with the signatures that its terms would need: so that what they say is looked at."""
    if kind == "note":
        return body
    try:
        record = unpack(JournalRecord, body)
    except RemoteProtocolError:
        return body
    bodies: dict[Kind, type[Body]] = {
        "award": AwardTerms,
        "receipt_offer": ReceiptTerms,
        "receipt": ReceiptTerms,
        "fault": FaultTerms,
    }
    terms: type[Body] = bodies.get(kind, RatingTerms)
    signatures = [sign_body(party, terms, record.terms) for party in (CLIENT, CONTRACTOR)]
    return pack(JournalRecord(record.terms, tuple(signatures[: len(record.signatures)])))


def parse_export(data: bytes) -> None:
    """An exported journal, read back line by line and checked: any text is whole or broken."""
    entries: list[Entry] = []
    for line in data.splitlines():
        try:
            plain_line = json.loads(line)
            entry = Entry(
                height=int(plain_line["height"]),
                previous=bytes.fromhex(plain_line["previous"]),
                unix_ms=int(plain_line["unix_ms"]),
                kind=str(plain_line["kind"]),
                body=bytes.fromhex(plain_line["body"]),
                hash=bytes.fromhex(plain_line["hash"]),
            )
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            continue
        entries.append(entry)
    head = sign_head(CLIENT, len(entries), entries[-1].hash if entries else b"")
    chain = Chain(CLIENT.public_key, head)
    chain.feed(entries)
    chain.finish()


def _fault() -> bytes:
    pieces = [evidence(QuoteTerms, *sign(CONTRACTOR, quote_terms()))]
    return report_fault(
        CLIENT,
        task_id=receipt_terms().task_id,
        network=quote_terms().network,
        client=CLIENT.public_key,
        contractor=CONTRACTOR.public_key,
        kind="timeout",
        text="nothing came",
        unix_ms=NOW_UNIX_MS,
        pieces=pieces,
    ).body


def _rating() -> bytes:
    return rate(CLIENT, receipt(), check_acceptance(accepted(), quote_terms()), 7).body


def records() -> list[tuple[Kind, bytes]]:
    """One entry body of each kind, and the note of a delivery."""
    bodies = signed_bodies()
    award_terms = bodies[AwardTerms]
    fault = open_fault(_fault(), sign_body(CLIENT, FaultTerms, _fault()))
    rating = open_rating(_rating(), sign_body(CLIENT, RatingTerms, _rating()))[0]
    delivered = Delivered(quote=pack(quote_terms()), award=pack(award_terms), result=pack(bodies[ResultTerms]))
    return [
        ("award", award_record(*sign(CLIENT, award_terms))),
        ("receipt_offer", offer_record(offer_receipt(CLIENT, receipt_terms()))),
        ("receipt", receipt_record(receipt())),
        ("fault", fault_record(fault)),
        ("rating", rating_record(rating)),
        ("note", note_record({"what": "started", "version": "0.1.0", "count": 3})),
        ("note", note_record(delivered.note(receipt_terms().task_id))),
    ]


def _entries() -> Iterator[bytes]:
    for kind, body in records():
        yield scripts.encode([(KINDS.index(kind), body)])


def _exports() -> Iterator[bytes]:
    lines, previous = [], genesis(CLIENT.public_key)
    for height, (kind, body) in enumerate(records()[1:3], 1):
        entry = next_entry(height, previous, NOW_UNIX_MS, kind, body)
        previous = entry.hash
        lines.append(export_entry(entry))
    yield "\n".join([*lines, export_head(sign_head(CLIENT, len(lines), previous), CLIENT.public_key)]).encode()


REMOTE = (RemoteProtocolError,)
TARGETS = (
    Target(
        name="receipt",
        form="msgpack",
        opened=plain(parse_receipt),
        seeds=lambda: [pack(receipt_terms())],
        may_raise=REMOTE,
        share=0.5,
    ),
    Target(
        name="rating",
        form="msgpack",
        opened=plain(parse_rating),
        seeds=lambda: [_rating()],
        may_raise=REMOTE,
        share=0.5,
    ),
    Target(
        name="fault", form="msgpack", opened=plain(parse_fault), seeds=lambda: [_fault()], may_raise=REMOTE, share=0.5
    ),
    Target(
        name="evidence",
        form="msgpack",
        opened=plain(parse_evidence),
        seeds=lambda: [evidence(QuoteTerms, *sign(CONTRACTOR, quote_terms()))],
        may_raise=REMOTE,
        share=0.5,
    ),
    Target(
        name="journal-entry",
        form="script",
        opened=plain(parse_entry),
        seeds=_entries,
        may_raise=(RemoteProtocolError, NodeError),
        share=0.5,
    ),
    Target(name="journal-export", form="text", opened=plain(parse_export), seeds=_exports, share=0.25),
)
