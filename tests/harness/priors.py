"""Market priors for tests: receipts that both sides signed, fault reports, and documents over them."""

import hashlib

from crypto.identity import Identity
from node.ledger.journal import fault_record, receipt_record
from node.priors.document import Ending, Made, Probe, make
from protocol.receipts import complete_receipt, offer_receipt, report_fault
from protocol.signed import ReceiptTerms, sign_body

NETWORK = "test"
SKILL = "risk"
NOW_MS = 1_800_000_000_000
GOOD, BAD = Identity(b"\x11" * 32), Identity(b"\x12" * 32)


def receipt(
    maker: Identity,
    seller: Identity,
    *,
    number: int = 0,
    accepted: bool = True,
    skill: str = SKILL,
    network: str = NETWORK,
    unix_ms: int = NOW_MS,
) -> bytes:
    """The journal's record of a receipt that both signed."""
    terms = ReceiptTerms(
        task_id=hashlib.sha256(f"{number}".encode()).digest()[:16],
        salt=bytes(16),
        network=network,
        client=maker.public_key,
        contractor=seller.public_key,
        skill=skill,
        effort="full",
        specification_sha256=bytes(32),
        quote_sha256=bytes(32),
        result_sha256=bytes(32),
        price_micro=100,
        paid_micro=100 if accepted else 0,
        awarded_unix_ms=unix_ms - 500,
        finished_unix_ms=unix_ms,
        deadline_met=True,
        level="none",
        verdict="accepted" if accepted else "rejected",
        score_ppm=1_000_000 if accepted else 0,
        explored=False,
    )
    offer = offer_receipt(maker, terms)
    return receipt_record(complete_receipt(offer, sign_body(seller, ReceiptTerms, offer.body)))


def fault(maker: Identity, seller: Identity, *, number: int = 0, unix_ms: int = NOW_MS) -> bytes:
    """The journal's record of a fault report."""
    report = report_fault(
        maker,
        task_id=hashlib.sha256(f"fault {number}".encode()).digest()[:16],
        network=NETWORK,
        client=maker.public_key,
        contractor=seller.public_key,
        kind="timeout",
        text="nothing came",
        unix_ms=unix_ms,
    )
    return fault_record(report)


def probe(maker: Identity, seller: Identity, ending: Ending = "good", number: int = 0, unix_ms: int = NOW_MS) -> Probe:
    """One probe with its record."""
    record = (
        fault(maker, seller, number=number, unix_ms=unix_ms)
        if ending == "fault"
        else receipt(maker, seller, number=number, accepted=ending == "good", unix_ms=unix_ms)
    )
    return Probe(
        seller=seller.public_key,
        skill=SKILL,
        unix_ms=unix_ms,
        ending=ending,
        record=record,
        quoted_micro=100,
        billed_micro=100 if ending == "good" else 0,
        promised_ms=400,
        took_ms=500,
    )


def probes_of(maker: Identity, unix_ms: int = NOW_MS) -> list[Probe]:
    """Three good of one seller; two refused and one that did not come of another."""
    good = [probe(maker, GOOD, "good", number, unix_ms) for number in range(3)]
    bad = [probe(maker, BAD, "bad", number, unix_ms) for number in range(10, 12)]
    return [*good, *bad, probe(maker, BAD, "fault", 20, unix_ms)]


def document(maker: Identity, *, now_unix_ms: int = NOW_MS, probes: list[Probe] | None = None) -> Made:
    """A document over these probes, or those of `probes_of`."""
    made = make(
        maker,
        network=NETWORK,
        skill=SKILL,
        probes=probes_of(maker, now_unix_ms) if probes is None else probes,
        now_unix_ms=now_unix_ms,
        life_s=86_400,
    )
    assert made is not None
    return made
