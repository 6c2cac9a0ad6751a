"""One job with one contractor, from the award to a delivery that binds, or to the fault that ended it.

Nothing here judges whether the work is good (that is verification) or decides what to do after a fault.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from node.market.quotes import binds
from node.net.errors import RemoteRefused, SessionClosed
from node.net.session import Session, Stream
from node.outsource.offers import Offer
from node.tasks.content import Content
from protocol.errors import RemoteProtocolError
from protocol.messages import (
    MAX_PART_BYTES,
    Accepted,
    Answer,
    Award,
    Failed,
    InputPart,
    InputRequired,
    Message,
    Progress,
    Result,
    ResultPart,
)
from protocol.receipts import Signed, check_acceptance, evidence
from protocol.signed import AcceptanceTerms, FaultKind, QuoteTerms, ResultTerms, open_signed

PART_TIMEOUT_S = 30.0
"""One input part of at most 1 MiB must be taken in this time: 35 kB/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is ordered. `patience_s` is how long this contractor may take in all."""

    task_id: bytes
    offer: Offer
    award: Award
    content: Content
    max_output_bytes: int
    patience_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who hears of a job's course: its acceptance, its progress (ppm, text), its questions."""

    accepted: Callable[[], Awaitable[None]]
    progress: Callable[[int, str], Awaitable[None]]
    question: Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A result that its contractor signed over this task, this quote and this session."""

    content: Content
    result: Signed[ResultTerms]
    acceptance: Signed[AcceptanceTerms] | None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a contractor did not deliver. `evidence` holds its own signed bodies that show it, if there are any."""

    kind: FaultKind
    text: str
    evidence: tuple[bytes, ...] = ()


async def hire(session: Session, job: Job, listener: Listener) -> Delivery | Fault:
    """Award the job and see it through. Every outcome is a value; only cancellation leaves otherwise."""
    try:
        async with (
            asyncio.timeout(job.patience_s),
            session.stream(job.award, timeout_s=job.patience_s) as stream,
        ):
            await _upload(session, job)
            return await _receive(session, stream, job, listener)
    except TimeoutError:
        return Fault("timeout", f"nothing was delivered within {job.patience_s:.1f} s")
    except SessionClosed as error:
        return Fault("disconnect", f"the session ended during the work: {error}")
    except RemoteRefused as error:
        return Fault("failed", f"the award was refused: {error.code}: {error.text}")
    except RemoteProtocolError as error:
        return Fault("invalid", error.text)


async def _upload(session: Session, job: Job) -> None:
    """Send the input in parts when it was too large for the award."""
    data = job.content.data
    if len(data) <= MAX_PART_BYTES:
        return
    for offset in range(0, len(data), MAX_PART_BYTES):
        part = InputPart(task_id=job.task_id, offset=offset, data=data[offset : offset + MAX_PART_BYTES])
        await session.request(part, timeout_s=PART_TIMEOUT_S)


async def _receive(session: Session, stream: Stream, job: Job, listener: Listener) -> Delivery | Fault:
    received = bytearray()
    acceptance: Signed[AcceptanceTerms] | None = None
    async for event in stream:
        match event:
            case Accepted():
                acceptance = check_acceptance(event, job.offer.terms)
                await listener.accepted()
            case Progress():
                await listener.progress(event.done_ppm, event.text)
            case InputRequired():
                text = await listener.question(event.question)
                await session.request(Answer(task_id=job.task_id, text=text), timeout_s=PART_TIMEOUT_S)
            case ResultPart():
                _append(received, event, job.max_output_bytes)
            case _:
                raise RemoteProtocolError("bad_message", f"a {type(event).__name__} cannot come during a job")
    return _conclude(session, stream.final, bytes(received), acceptance, job)


def _append(received: bytearray, part: ResultPart, max_bytes: int) -> None:
    if part.offset != len(received):
        raise RemoteProtocolError("bad_message", f"a result part starts at {part.offset}, expected {len(received)}")
    if len(received) + len(part.data) > max_bytes:
        raise RemoteProtocolError("too_large", f"the result is over the limit of {max_bytes} bytes")
    received += part.data


def _conclude(
    session: Session, final: Message, received: bytes, acceptance: Signed[AcceptanceTerms] | None, job: Job
) -> Delivery | Fault:
    if isinstance(final, Failed):
        return Fault("failed", f"the contractor gave up: {final.code}: {final.text}")
    if not isinstance(final, Result):
        raise RemoteProtocolError("bad_message", f"a {type(final).__name__} cannot end a job")
    quoted = job.offer.terms
    terms = open_signed(ResultTerms, final.terms, final.signature, quoted.contractor)
    result = Signed(terms, final.terms, final.signature)
    data = received or final.data
    _check_bound(terms, data, session.handshake_hash, job)
    if not binds(quoted, terms.invoice_micro):
        return Fault(
            "overcharge",
            f"the invoice of {terms.invoice_micro} is above the quoted {quoted.price_micro} micro-dollars",
            proof_of(job.offer, result),
        )
    return Delivery(
        content=Content(final.media_type, data),
        result=result,
        acceptance=acceptance,
    )


def proof_of(offer: Offer, result: Signed[ResultTerms]) -> tuple[bytes, ...]:
    """The contractor's own signed words about a job: what it quoted and what it delivered."""
    return (
        evidence(QuoteTerms, offer.quote.terms, offer.quote.signature),
        evidence(ResultTerms, result.body, result.signature),
    )


def _check_bound(terms: ResultTerms, data: bytes, handshake_hash: bytes, job: Job) -> None:
    """Refuse a result that was signed for another task, another quote or another session, or is not these bytes."""
    expected = {
        "task_id": (terms.task_id, job.task_id),
        "quote_sha256": (terms.quote_sha256, hashlib.sha256(job.offer.quote.terms).digest()),
        "session_hash": (terms.session_hash, handshake_hash),
        "result_bytes": (terms.result_bytes, len(data)),
        "result_sha256": (terms.result_sha256, hashlib.sha256(data).digest()),
    }
    for field, (signed, actual) in expected.items():
        if signed != actual:
            raise RemoteProtocolError("unbound_result", f"the signed result does not match this job's {field}")
    if len(data) > job.max_output_bytes:
        raise RemoteProtocolError("too_large", f"the result is over the limit of {job.max_output_bytes} bytes")
