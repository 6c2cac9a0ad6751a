"""The journal's chain as pure values: one entry after the other, and what breaks it."""

from dataclasses import replace

import msgspec
import pytest

from node.ledger.journal import (
    AGENT_PAID,
    Broken,
    Chain,
    Entry,
    Head,
    Kind,
    award_record,
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
from protocol.errors import RemoteProtocolError
from protocol.packing import pack
from protocol.receipts import check_acceptance, offer_receipt, rate, report_fault
from protocol.signed import sign
from tests.harness.jobs import (
    CLIENT,
    CONTRACTOR,
    NOW_UNIX_MS,
    STRANGER,
    accepted,
    award_terms,
    quote_terms,
    receipt,
    receipt_terms,
    task_id_of,
)


def bodies() -> list[tuple[Kind, bytes]]:
    """One body of every kind."""
    rating = rate(CLIENT, receipt(), check_acceptance(accepted(), quote_terms()), 1)
    fault = report_fault(
        CLIENT,
        task_id=task_id_of(1),
        network="test",
        client=CLIENT.public_key,
        contractor=CONTRACTOR.public_key,
        kind="timeout",
        text="nothing came",
        unix_ms=NOW_UNIX_MS,
    )
    return [
        ("award", award_record(*sign(CLIENT, award_terms()))),
        ("receipt_offer", offer_record(offer_receipt(CLIENT, receipt_terms()))),
        ("receipt", receipt_record(receipt())),
        ("fault", fault_record(fault)),
        ("rating", rating_record(rating)),
        ("note", note_record({"text": "released", "task_id": task_id_of(1), "amount_micro": 5})),
    ]


def journal() -> tuple[list[Entry], Head]:
    """A journal with one entry of every kind, and its signed head."""
    entries: list[Entry] = []
    previous = genesis(CLIENT.public_key)
    for height, (kind, body) in enumerate(bodies(), start=1):
        entries.append(next_entry(height, previous, NOW_UNIX_MS + height, kind, body))
        previous = entries[-1].hash
    return entries, sign_head(CLIENT, len(entries), previous)


def check(entries: list[Entry], head: Head) -> Broken | None:
    chain = Chain(CLIENT.public_key, head)
    chain.feed(entries)
    return chain.finish()


def test_a_journal_as_written_is_whole() -> None:
    assert check(*journal()) is None


def test_an_empty_journal_is_whole() -> None:
    assert check([], sign_head(CLIENT, 0, genesis(CLIENT.public_key))) is None


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("field", ["previous", "unix_ms", "kind", "body", "hash"])
def test_any_changed_field_names_its_entry(index: int, field: str) -> None:
    entries, head = journal()
    old = entries[index]
    changed = {
        "previous": replace(old, previous=bytes(32)),
        "unix_ms": replace(old, unix_ms=-1),
        "kind": replace(old, kind="note" if old.kind != "note" else "award"),
        "body": replace(old, body=old.body[:-1] + bytes([old.body[-1] ^ 1])),
        "hash": replace(old, hash=bytes(32)),
    }[field]
    entries[index] = changed
    broken = check(entries, head)
    assert broken is not None
    assert broken.height == index + 1
    assert f"entry {index + 1} " in str(broken)


@pytest.mark.parametrize("index", range(6))
def test_a_changed_entry_with_its_hash_made_to_fit_is_found_at_the_next(index: int) -> None:
    entries, head = journal()
    old = entries[index]
    entries[index] = next_entry(old.height, old.previous, old.unix_ms + 1, "note", note_record({}))
    broken = check(entries, head)
    assert broken is not None
    assert broken.height == min(index + 2, 6)


def test_a_rewritten_chain_lacks_the_owners_signature() -> None:
    _, head = journal()
    previous, forged = genesis(CLIENT.public_key), []
    for height in range(1, 7):
        forged.append(next_entry(height, previous, NOW_UNIX_MS, "note", note_record({"n": height})))
        previous = forged[-1].hash
    assert check(forged, head) == Broken(6, "it is not the entry that the owner signed as the last")
    by_another = sign_head(STRANGER, 6, previous)
    broken = check(forged, by_another)
    assert broken is not None
    assert "owner's signature" in broken.reason


@pytest.mark.parametrize("index", range(6))
def test_a_deleted_entry_is_named(index: int) -> None:
    entries, head = journal()
    del entries[index]
    broken = check(entries, head)
    assert broken is not None
    assert broken.height == index + 1
    assert "missing" in broken.reason


@pytest.mark.parametrize("index", range(5))
def test_swapped_entries_are_named(index: int) -> None:
    entries, head = journal()
    first, second = entries[index], entries[index + 1]
    entries[index] = replace(second, height=first.height)
    entries[index + 1] = replace(first, height=second.height)
    broken = check(entries, head)
    assert broken is not None
    assert broken.height == index + 1


@pytest.mark.parametrize("kept", range(6))
def test_a_cut_off_end_is_named(kept: int) -> None:
    entries, head = journal()
    broken = check(entries[:kept], head)
    assert broken == Broken(kept + 1, f"entries {kept + 1} to 6 are missing from the end")


def test_an_entry_beyond_the_signed_end_is_named() -> None:
    entries, head = journal()
    entries.append(next_entry(7, entries[-1].hash, NOW_UNIX_MS, "note", note_record({})))
    broken = check(entries, head)
    assert broken is not None
    assert broken.height == 7


def test_a_forged_signature_inside_is_named_though_the_chain_fits() -> None:
    made = receipt()
    forged = pack([made.body, [made.client_signature, bytes(64)]])
    entry = next_entry(1, genesis(CLIENT.public_key), NOW_UNIX_MS, "receipt", forged)
    broken = check([entry], sign_head(CLIENT, 1, entry.hash))
    assert broken == Broken(1, "the signature on this ReceiptTerms is not its signer's")


def test_every_kind_opens_as_itself_and_as_no_other() -> None:
    for kind, body in bodies():
        open_body(kind, body)
        for other, _ in bodies():
            if other != kind and {kind, other} != {"receipt", "receipt_offer"} and other != "note":
                with pytest.raises(RemoteProtocolError):
                    open_body(other, body)


def test_the_task_of_an_entry() -> None:
    found = {kind: task_of(kind, body) for kind, body in bodies()}
    assert found.pop("rating") is None
    assert set(found.values()) == {task_id_of(1)}
    assert task_of("note", note_record({"text": "x"})) is None


def test_what_was_signed_to_be_paid_is_known_after_a_crash() -> None:
    entries, _ = journal()
    seller = CONTRACTOR.public_key
    assert paid_micro(entries, seller) == 1000
    assert paid_micro(entries[:2], seller) == 1000  # offered, and the countersignature never came
    assert paid_micro(entries[:1], seller) is None
    assert paid_micro(entries, STRANGER.public_key) is None
    rejected = msgspec.structs.replace(receipt_terms(), verdict="rejected", paid_micro=0)
    offer = next_entry(1, bytes(32), 1, "receipt_offer", offer_record(offer_receipt(CLIENT, rejected)))
    assert paid_micro([offer], seller) == 0


def test_what_is_owed_to_an_agent_that_signs_nothing_is_known_after_a_crash() -> None:
    note = {"what": AGENT_PAID, "task_id": task_id_of(1), "contractor": STRANGER.public_key, "paid_micro": 7}
    entry = next_entry(1, bytes(32), 1, "note", note_record(note))
    assert paid_micro([entry], STRANGER.public_key) == 7
    assert paid_micro([entry], CONTRACTOR.public_key) is None


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"\x90", pack([b"x", []]), pack([b"x", [bytes(64)] * 3]), bytes(70_000)]
)
def test_junk_is_no_entry(body: bytes) -> None:
    for kind in ("award", "receipt", "fault", "rating", "note", "gossip", "\ufffd"):
        with pytest.raises(RemoteProtocolError):
            open_body(kind, body)
