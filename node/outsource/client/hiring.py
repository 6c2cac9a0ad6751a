"""One job with one contractor, from the award to a delivery that binds, or to the fault that ended it.

Nothing here judges whether the work is good (that is verification) or decides what to do after a fault.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from node.background import background
from node.market.quotes import binds
from node.net.errors import NetError, RemoteRefused, SessionClosed
from node.net.session import Session, Stream
from node.outsource.client.offers import Offer
from node.outsource.patience import Patience, patience
from node.tasks.content import Content
from node.wording import usd
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
MAX_QUESTIONS = 8
"""Questions of one contractor that may wait for the owner at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is ordered.

    `patience_s` is how long this contractor may take, without the time in which it waits for an answer;
    `remaining_s` what is left of the task's deadline.
    """

    offer: Offer
    award: Award
    content: Content
    max_output_bytes: int
    patience_s: float
    remaining_s: float

    @property
    def order_id(self) -> bytes:
        """What the contractor knows the task by."""
        return self.offer.terms.task_id


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
    may_bill: bool = False
    """Of an agent without a contract that took the task: it may bill for that, whatever became of it."""


async def hire(session: Session, job: Job, listener: Listener) -> Delivery | Fault:
    """Award the job and see it through. Every outcome is a value; only cancellation leaves otherwise."""
    try:
        async with (
            patience(job.patience_s) as clock,
            session.stream(job.award, timeout_s=job.remaining_s) as stream,
        ):
            await _upload(session, job)
            return await _receive(session, stream, job, listener, clock)
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
        part = InputPart(task_id=job.order_id, offset=offset, data=data[offset : offset + MAX_PART_BYTES])
        try:
            await session.request(part, timeout_s=PART_TIMEOUT_S)
        except RemoteRefused:
            return  # The award's own answer says why.


async def _receive(session: Session, stream: Stream, job: Job, listener: Listener, clock: Patience) -> Delivery | Fault:
    received = bytearray()
    acceptance: Signed[AcceptanceTerms] | None = None
    questions = _Questions(session, job, listener, clock)
    is_asking = False
    async with AsyncExitStack() as beside:
        async for event in stream:
            match event:
                case Accepted():
                    acceptance = check_acceptance(event, job.offer.terms)
                    await listener.accepted()
                case Progress():
                    await listener.progress(event.done_ppm, event.text)
                case InputRequired():
                    if not is_asking:
                        is_asking = True  # Most jobs have no questions, and need no task for them.
                        await beside.enter_async_context(background(questions.run()))
                    questions.put(event.question)
                case ResultPart():
                    _append(received, event, job.max_output_bytes)
                case _:
                    raise RemoteProtocolError("bad_message", f"a {type(event).__name__} cannot come during a job")
    return _conclude(session, stream.final, bytes(received), acceptance, job)


class _Questions:
    """The contractor's questions, put to the owner one by one while its stream is read on: it may end meanwhile."""

    def __init__(self, session: Session, job: Job, listener: Listener, clock: Patience) -> None:
        self._session = session
        self._job = job
        self._listener = listener
        self._clock = clock
        self._queue: asyncio.Queue[str] = asyncio.Queue(MAX_QUESTIONS)

    def put(self, question: str) -> None:
        """Take on a question; RemoteProtocolError when too many wait."""
        try:
            self._queue.put_nowait(question)
        except asyncio.QueueFull as error:
            raise RemoteProtocolError("flood", f"more than {MAX_QUESTIONS} questions wait for an answer") from error

    async def run(self) -> None:
        """Ask and answer until cancelled."""
        while True:
            question = await self._queue.get()
            with self._clock.paused():
                text = await self._listener.question(question)
            # Where an answer cannot be delivered, the stream says what has become of the job.
            with suppress(NetError, TimeoutError):
                await self._session.request(Answer(task_id=self._job.order_id, text=text), timeout_s=PART_TIMEOUT_S)


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
    if text := _unbound(terms, data, session.handshake_hash, job):
        return Fault("invalid", text, proof_of(job.offer, result))
    if not binds(quoted, terms.invoice_micro):
        return Fault(
            "overcharge",
            f"the invoice of {usd(terms.invoice_micro)} is above the quoted {usd(quoted.price_micro)}",
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


def _unbound(terms: ResultTerms, data: bytes, handshake_hash: bytes, job: Job) -> str:
    """Why a result does not count: signed for another task, quote or session, of other bytes, or too large."""
    expected = {
        "task_id": (terms.task_id, job.order_id),
        "quote_sha256": (terms.quote_sha256, hashlib.sha256(job.offer.quote.terms).digest()),
        "session_hash": (terms.session_hash, handshake_hash),
        "result_bytes": (terms.result_bytes, len(data)),
        "result_sha256": (terms.result_sha256, hashlib.sha256(data).digest()),
    }
    for field, (signed, actual) in expected.items():
        if signed != actual:
            return f"the signed result does not match this job's {field}"
    if len(data) > job.max_output_bytes:
        return f"the result of {len(data)} bytes is over the limit of {job.max_output_bytes}"
    return ""
