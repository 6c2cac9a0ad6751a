"""Receipts and fault reports as their owner sees them. Pure."""

import hashlib

from crypto.identity import did_key, short_id
from node.views import ReceiptView
from protocol.receipts import Receipt, Signed
from protocol.signed import FaultTerms


def receipt_view(task_id: bytes, receipt: Receipt, journal_height: int | None) -> ReceiptView:
    """A receipt with both signatures. `task_id` is what this node calls the task: the two sides call it differently."""
    terms = receipt.terms
    return ReceiptView(
        id=receipt.digest.hex()[:16],
        task_id=task_id.hex(),
        skill=terms.skill,
        client=short_id(terms.client),
        client_did=did_key(terms.client),
        contractor=short_id(terms.contractor),
        contractor_did=did_key(terms.contractor),
        price_micro=terms.paid_micro,
        started_unix_ms=terms.awarded_unix_ms,
        finished_unix_ms=terms.finished_unix_ms,
        level=terms.level,
        verdict=terms.verdict,
        score_ppm=terms.score_ppm,
        explored=terms.explored,
        countersigned=True,
        journal_height=journal_height,
        digest=receipt.digest.hex(),
    )


def fault_view(task_id: bytes, report: Signed[FaultTerms], skill: str, journal_height: int | None) -> ReceiptView:
    """A one-sided report."""
    terms = report.terms
    digest = hashlib.sha256(report.body).hexdigest()
    return ReceiptView(
        id=digest[:16],
        task_id=task_id.hex(),
        skill=skill,
        client=short_id(terms.client),
        client_did=did_key(terms.client),
        contractor=short_id(terms.contractor),
        contractor_did=did_key(terms.contractor),
        price_micro=0,
        started_unix_ms=terms.unix_ms,
        finished_unix_ms=terms.unix_ms,
        level="none",
        verdict="rejected" if terms.kind == "bad_result" else "",
        countersigned=False,
        fault=f"{terms.kind}: {terms.text}",
        journal_height=journal_height,
        digest=digest,
    )
