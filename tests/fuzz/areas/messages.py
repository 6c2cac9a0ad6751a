"""Messages, envelopes, signed bodies and adverts: msgpack with a schema."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from crypto.identity import Identity
from protocol.envelope import (
    Cancel,
    Credit,
    Envelope,
    Error,
    Event,
    Goodbye,
    KeepAlive,
    Request,
    Response,
    checked_body,
    decode_envelopes,
    encode_envelope,
)
from protocol.errors import RemoteProtocolError
from protocol.messages import (
    Advert,
    Answer,
    AnyMessage,
    Award,
    Decline,
    Failed,
    FaultNotice,
    InputPart,
    InputRequired,
    Message,
    Ok,
    Ping,
    Pong,
    Progress,
    Quote,
    QuoteRequest,
    ReceiptOffer,
    ReceiptSigned,
    Result,
    ResultPart,
    decode_advert,
    encode_advert,
)
from protocol.packing import pack, unpack
from protocol.receipts import Signed, accept, check_acceptance, offer_receipt, rate, report_fault
from protocol.signed import LABELS, AwardTerms, Body, ResultTerms, open_signed, sign, sign_body
from protocol.specification import (
    Constraints,
    InputDescriptor,
    Resources,
    Specification,
    VerificationCriteria,
)
from tests.fuzz.target import Target, plain
from tests.harness.jobs import (
    CLIENT,
    CONTRACTOR,
    NOW_UNIX_MS,
    SALT,
    accepted,
    quote_terms,
    receipt,
    receipt_terms,
)

MAX_BYTES = 2**20
TASK_ID = receipt_terms().task_id


def parse_message(data: bytes) -> None:
    """One message body, which must survive its own encoding."""
    message: Message = unpack(AnyMessage, data, MAX_BYTES)  # type: ignore[arg-type]  # a union is not a type[T] to mypy
    assert unpack(AnyMessage, pack(message)) == message  # type: ignore[arg-type]


def parse_envelopes(data: bytes) -> None:
    """A frame's payload."""
    for envelope, size in decode_envelopes(data, MAX_BYTES):
        assert 0 < size <= len(data)
        assert isinstance(envelope, Envelope)


def parse_specification(data: bytes) -> None:
    """What an award carries, apart from the message around it."""
    assert unpack(Specification, data, MAX_BYTES).skill


def parse_advert(data: bytes) -> None:
    """The body of a DHT record."""
    assert decode_advert(data).port


def parse_signed(kind: type[Body], data: bytes) -> None:
    """A body under its signer's real signature, and the same under another's."""
    with pytest.raises(RemoteProtocolError, match="bad_signature"):  # nothing is looked at before the signature
        open_signed(kind, data, sign_body(CONTRACTOR, kind, data), CLIENT.public_key)
    open_signed(kind, data, sign_body(CLIENT, kind, data), CLIENT.public_key)


def specification() -> Specification:
    """A task with every field filled in."""
    return Specification(
        skills=("document-analysis", "nlp/summary"),
        effort="cheap",
        resources=Resources(flop=10**12, memory_bytes=2**30, libraries=("numpy", "torch")),
        input=InputDescriptor(media_type="text/plain", size_bytes=1234, sha256=b"\x11" * 32, work_units=1234),
        verification=VerificationCriteria(least_level="full", min_score_ppm=900_000),
        constraints=Constraints(deadline_ms=60_000, budget_micro=5000, privacy="public", regions=("eu", "us-east")),
    )


def signed_bodies() -> dict[type[Body], Body]:
    """One real body of each kind."""
    made, terms = receipt(), quote_terms()
    acceptance = check_acceptance(accepted(), terms)
    report = report_fault(
        CLIENT,
        task_id=TASK_ID,
        network=terms.network,
        client=CLIENT.public_key,
        contractor=CONTRACTOR.public_key,
        kind="overcharge",
        text="invoiced 2000, quoted 1000",
        unix_ms=NOW_UNIX_MS,
        pieces=[b"\x93\xa5quote\xc4\x01x\xc4\x01y"],
    )
    award = AwardTerms(
        task_id=TASK_ID,
        quote_sha256=b"\x22" * 32,
        client=CLIENT.public_key,
        contractor=CONTRACTOR.public_key,
        awarded_unix_ms=NOW_UNIX_MS,
    )
    result = ResultTerms(
        task_id=TASK_ID,
        quote_sha256=b"\x22" * 32,
        session_hash=b"\x33" * 32,
        result_sha256=b"\x44" * 32,
        result_bytes=77,
        invoice_micro=1000,
        started_unix_ms=NOW_UNIX_MS,
        finished_unix_ms=NOW_UNIX_MS + 10,
    )
    rating: Signed[Body] = rate(CLIENT, made, acceptance, 1)  # type: ignore[assignment]  # read only
    bodies: tuple[Body, ...] = (terms, award, acceptance.terms, result, made.terms, rating.terms, report.terms)
    return {type(body): body for body in bodies}


def messages() -> list[Message]:
    """One of every message."""
    quote = Quote(**_signed_by(CONTRACTOR, quote_terms()))
    bodies = signed_bodies()
    encoded = pack(specification())
    offer = offer_receipt(CLIENT, receipt_terms())
    return [
        Ping(),
        Pong(),
        Ok(),
        QuoteRequest(task_id=TASK_ID, specification=specification()),
        quote,
        Decline(code="busy", text="3 jobs wait already", retry_after_ms=500),
        Award(**_signed_by(CLIENT, bodies[AwardTerms]), quote=quote, specification=encoded, input=b"some input"),
        InputPart(task_id=TASK_ID, offset=2**20, data=b"more input"),
        accept(CONTRACTOR, quote_terms(), SALT, NOW_UNIX_MS),
        Progress(done_ppm=400_000, text="page 2 of 5"),
        InputRequired(question="Which year?"),
        Answer(task_id=TASK_ID, text="1999"),
        ResultPart(offset=0, data=b"part of a result"),
        Result(**_signed_by(CONTRACTOR, bodies[ResultTerms]), media_type="application/json", data=b"{}"),
        Failed(code="bad_input", text="the input is not JSON"),
        ReceiptOffer(terms=offer.body, signature=offer.signature),
        ReceiptSigned(signature=receipt().contractor_signature),
        FaultNotice(**_signed_by(CLIENT, next(body for kind, body in bodies.items() if LABELS[kind] == b"fault"))),
    ]


def _signed_by(signer: Identity, terms: Body) -> dict[str, bytes]:
    body, signature = sign(signer, terms)
    return {"terms": body, "signature": signature}


def envelopes() -> list[Envelope]:
    """One of every envelope."""
    return [
        *(
            Request(id=number, deadline_ms=5000, window_bytes=65_536, body=checked_body(body))
            for number, body in enumerate(messages(), 1)
        ),
        Event(id=1, body=Progress(done_ppm=1)),
        Response(id=1, body=Pong()),
        Error(id=1, code="busy", text="64 requests at once is the limit"),
        Cancel(id=1),
        Credit(id=1, bytes=1000),
        KeepAlive(),
        Goodbye(reason="shutting down"),
    ]


def _message_seeds() -> Iterator[bytes]:
    return (pack(message) for message in messages())


def _envelope_seeds() -> Iterator[bytes]:
    encoded = [encode_envelope(envelope) for envelope in envelopes()]
    yield from encoded[::3]
    yield b"".join(encoded[-6:])
    yield b"".join(encoded[-2:] * 10)


def _adverts() -> Iterator[bytes]:
    yield encode_advert(Advert(host="192.0.2.7", port=7733, skill="risk"))
    yield encode_advert(
        Advert(
            host="node.example.org",
            port=1,
            skill="nlp/summary",
            caption="Summaries of long texts",
            price_hint_micro=900,
            load_ppm=250_000,
            regions=("eu", "us"),
            card_sha256=b"\x07" * 32,
        )
    )


def _seeds_of(kind: type[Body]) -> Iterator[bytes]:
    yield pack(signed_bodies()[kind])


def _target(name: str, parse: Callable[[bytes], None], seeds: Callable[[], Iterator[bytes]], share: float) -> Target:
    return Target(
        name=name, form="msgpack", opened=plain(parse), seeds=seeds, may_raise=(RemoteProtocolError,), share=share
    )


TARGETS = (
    _target("message", parse_message, _message_seeds, 4),
    Target(
        name="envelopes",
        form="bytes",
        opened=plain(parse_envelopes),
        seeds=_envelope_seeds,
        may_raise=(RemoteProtocolError,),
        share=2,
    ),
    _target("specification", parse_specification, lambda: iter([pack(specification())]), 1),
    _target("advert", parse_advert, _adverts, 1),
    *(
        _target(f"signed-{label.decode()}", partial(parse_signed, kind), partial(_seeds_of, kind), 0.5)
        for kind, label in LABELS.items()
    ),
)
