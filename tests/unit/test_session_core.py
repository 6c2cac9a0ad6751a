"""The session core, step by step: two cores that exchange payloads without any transport or clock."""

import math

import pytest

from protocol.envelope import (
    MAX_ENVELOPES,
    Cancel,
    Credit,
    Envelope,
    Error,
    Event,
    Goodbye,
    KeepAlive,
    KeepAliveReply,
    Request,
    Response,
    decode_envelopes,
    encode_envelope,
    join,
)
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.messages import Message, Ok, Ping, Pong, Progress, ResultPart
from protocol.session import EVENT_OVERHEAD_BYTES, SessionCore, SessionLimits
from protocol.session_steps import (
    Abandon,
    Answer,
    Answered,
    Ask,
    AskId,
    CallId,
    Closed,
    Consumed,
    CreditArrived,
    Effect,
    Emit,
    EventArrived,
    Leave,
    PeerLeaving,
    Probe,
    ProbeAnswered,
    Received,
    Refuse,
    Refused,
    Send,
    StartCall,
    StopCall,
    Tick,
    TimedOut,
    Withdraw,
)

LIMITS = SessionLimits(max_calls=3, max_call_bytes=10_000, max_message_bytes=20_000, keep_alive_s=10, silence_s=30)


def core() -> SessionCore:
    return SessionCore(LIMITS, now=0.0)


def sent(effects: list[Effect]) -> list[Envelope]:
    return [envelope for effect in effects if isinstance(effect, Send) for envelope, _ in decode(effect.encoded)]


def decode(payload: bytes) -> list[tuple[Envelope, int]]:
    return list(decode_envelopes(payload))


def others(effects: list[Effect]) -> list[Effect]:
    return [effect for effect in effects if not isinstance(effect, Send)]


def deliver(effects: list[Effect], to: SessionCore, now: float = 0.0) -> list[Effect]:
    """Step `to` with everything that `effects` sends."""
    payload = b"".join(effect.encoded for effect in effects if isinstance(effect, Send))
    return to.step(Received(payload), now) if payload else []


def tell(to: SessionCore, *envelopes: Envelope, now: float = 0.0) -> list[Effect]:
    return to.step(Received(join([encode_envelope(envelope) for envelope in envelopes])), now)


def ask(number: int = 1, body: Message | None = None, timeout_s: float = 5.0, window_bytes: int = 0) -> Ask:
    return Ask(AskId(number), body or Ping(), timeout_s, window_bytes)


def request(number: int = 1, *, deadline_ms: int = 5000, window_bytes: int = 0, data: bytes = b"") -> Request:
    body = ResultPart(offset=0, data=data) if data else Ping()
    return Request(id=number, deadline_ms=deadline_ms, window_bytes=window_bytes, body=body)


def test_a_request_reaches_the_handler_and_its_answer_comes_back() -> None:
    client, server = core(), core()
    assert others(deliver(client.step(ask(), 0.0), server, now=1.0)) == [StartCall(CallId(1), Ping(), 6.0)]
    assert deliver(server.step(Answer(CallId(1), Pong()), 2.0), client) == [Answered(AskId(1), Pong())]
    assert client.is_idle
    assert server.is_idle


def test_both_sides_can_ask_at_once_with_the_same_ids() -> None:
    one, other = core(), core()
    from_one, from_other = one.step(ask(), 0.0), other.step(ask(), 0.0)
    deliver(from_one, other)
    deliver(from_other, one)
    assert deliver(one.step(Answer(CallId(1), Ok()), 0.0), other) == [Answered(AskId(1), Ok())]
    assert deliver(other.step(Answer(CallId(1), Pong()), 0.0), one) == [Answered(AskId(1), Pong())]


def test_events_come_before_the_answer_in_order() -> None:
    client, server = core(), core()
    deliver(client.step(ask(window_bytes=10_000), 0.0), server)
    effects = [
        *server.step(Emit(CallId(1), Progress(done_ppm=1)), 0.0),
        *server.step(Emit(CallId(1), Progress(done_ppm=2)), 0.0),
        *server.step(Answer(CallId(1), Ok()), 0.0),
    ]
    arrived = deliver(effects, client)
    assert [effect.body for effect in arrived if isinstance(effect, EventArrived)] == [
        Progress(done_ppm=1),
        Progress(done_ppm=2),
    ]
    assert arrived[-1] == Answered(AskId(1), Ok())


def test_events_that_nobody_asked_for_are_dropped_at_the_source() -> None:
    server = core()
    tell(server, request(window_bytes=0))
    assert server.may_emit(CallId(1))
    assert server.step(Emit(CallId(1), Progress(done_ppm=1)), 0.0) == []


def test_a_refusal_arrives_with_its_code_and_text() -> None:
    client, server = core(), core()
    deliver(client.step(ask(), 0.0), server)
    effects = server.step(Refuse(CallId(1), "too_large", "x" * 600), 0.0)
    assert deliver(effects, client) == [Refused(AskId(1), "too_large", "x" * 500)]


def test_cancelling_stops_the_handler_and_a_late_answer_is_ignored() -> None:
    client, server = core(), core()
    deliver(client.step(ask(), 0.0), server)
    answer = server.step(Answer(CallId(1), Ok()), 0.0)
    withdrawn = client.step(Withdraw(AskId(1)), 0.0)
    assert sent(withdrawn) == [Cancel(id=1)]
    assert deliver(answer, client) == []
    assert deliver(withdrawn, server) == []
    assert client.step(Withdraw(AskId(1)), 0.0) == []


def test_a_cancelled_call_sends_nothing_more() -> None:
    server = core()
    tell(server, request(window_bytes=5000))
    assert tell(server, Cancel(id=1)) == [StopCall(CallId(1))]
    assert tell(server, Cancel(id=1), Credit(id=1, bytes=1)) == []
    assert server.may_emit(CallId(1))
    assert server.step(Emit(CallId(1), Progress(done_ppm=1)), 0.0) == []
    assert server.step(Answer(CallId(1), Ok()), 0.0) == []
    assert server.is_idle


def test_a_deadline_ends_both_sides() -> None:
    client, server = core(), core()
    deliver(client.step(ask(timeout_s=5), 0.0), server)
    assert client.deadline() == server.deadline() == 5.0
    ended = server.step(Tick(), 5.0)
    assert others(ended) == [StopCall(CallId(1))]
    (late,) = sent(ended)
    assert isinstance(late, Error)
    assert late.code == "deadline"
    timed_out = client.step(Tick(), 5.0)
    assert others(timed_out) == [TimedOut(AskId(1))]
    assert sent(timed_out) == [Cancel(id=1)]
    assert deliver(ended, client) == []
    assert deliver(timed_out, server) == []
    server.step(Abandon(CallId(1)), 5.0)
    assert server.is_idle


def test_a_request_without_time_left_is_refused() -> None:
    (refusal,) = sent(tell(core(), request(deadline_ms=0)))
    assert isinstance(refusal, Error)
    assert refusal.code == "deadline"


def test_requests_over_the_number_are_refused_with_busy_until_a_handler_has_ended() -> None:
    server = core()
    tell(server, *(request(number) for number in (1, 2, 3)))
    (refusal,) = sent(tell(server, request(4)))
    assert refusal == Error(id=4, code="busy", text="3 requests at once is the limit of a session")
    tell(server, Cancel(id=1))
    assert len(sent(tell(server, request(5)))) == 1, "a cancelled handler still runs"
    server.step(Abandon(CallId(1)), 0.0)
    assert others(tell(server, request(6))) == [StartCall(CallId(6), Ping(), 5.0)]


def test_requests_over_the_bytes_are_refused_with_busy_but_one_alone_never_is() -> None:
    server = core()
    assert others(tell(server, request(1, data=bytes(15_000))))
    (refusal,) = sent(tell(server, request(2, data=b"x")))
    assert isinstance(refusal, Error)
    assert refusal.code == "busy"
    assert "10000 bytes" in refusal.text
    server.step(Answer(CallId(1), Ok()), 0.0)
    assert others(tell(server, request(3, data=b"x")))


def test_events_wait_for_credit_and_go_on_when_it_comes() -> None:
    client, server = core(), core()
    deliver(client.step(ask(window_bytes=4000), 0.0), server)
    part = ResultPart(offset=0, data=bytes(3600))
    (first,) = deliver(server.step(Emit(CallId(1), part), 0.0), client)
    assert not server.may_emit(CallId(1)), "one event may overdraw the window, whatever its size, and no more"
    with pytest.raises(LocalProtocolError, match="no credit"):
        server.step(Emit(CallId(1), part), 0.0)
    assert isinstance(first, EventArrived)
    assert first.charge_bytes > 3600 + EVENT_OVERHEAD_BYTES
    credit = client.step(Consumed(AskId(1), first.charge_bytes), 0.0)
    assert sent(credit) == [Credit(id=1, bytes=first.charge_bytes)]
    assert deliver(credit, server) == [CreditArrived(CallId(1))]
    assert server.may_emit(CallId(1))


def test_credit_for_small_events_is_collected() -> None:
    client, server = core(), core()
    deliver(client.step(ask(window_bytes=10_000), 0.0), server)
    grants = 0
    for done in range(100):
        (arrived,) = deliver(server.step(Emit(CallId(1), Progress(done_ppm=done)), 0.0), client)
        assert isinstance(arrived, EventArrived)
        given = client.step(Consumed(AskId(1), arrived.charge_bytes), 0.0)
        grants += len(given)
        deliver(given, server)
    assert 5 <= grants <= 15


def test_an_event_without_credit_is_the_peers_fault() -> None:
    client = core()
    client.step(ask(window_bytes=100), 0.0)
    tell(client, Event(id=1, body=Progress(done_ppm=1)))
    with pytest.raises(RemoteProtocolError, match="over_credit"):
        tell(client, Event(id=1, body=Progress(done_ppm=2)))


def test_a_peer_that_hears_nothing_is_asked_and_then_given_up() -> None:
    silent = core()
    assert silent.deadline() == 10.0
    assert sent(silent.step(Tick(), 10.0)) == [KeepAlive()]
    assert silent.deadline() == 30.0
    assert silent.step(Tick(), 20.0) == []
    (closed,) = silent.step(Tick(), 30.0)
    assert isinstance(closed, Closed)
    assert closed.code == "silent"
    assert silent.deadline() == math.inf


def test_anything_heard_puts_the_keep_alive_off() -> None:
    one, other = core(), core()
    asked = one.step(Tick(), 10.0)
    answer = deliver(asked, other, now=10.0)
    assert sent(answer) == [KeepAliveReply()]
    assert deliver(answer, one, now=11.0) == [ProbeAnswered()]
    assert one.deadline() == 21.0
    assert other.deadline() == 20.0


def test_a_probe_is_answered() -> None:
    one, other = core(), core()
    assert deliver(deliver(one.step(Probe(), 0.0), other), one) == [ProbeAnswered()]


def test_goodbye_lets_what_is_under_way_finish_and_then_closes_both_sides() -> None:
    client, server = core(), core()
    deliver(client.step(ask(), 0.0), server)
    heard = deliver(client.step(Leave("renewed"), 0.0), server)
    assert others(heard) == [PeerLeaving("renewed")]
    assert sent(heard) == [Goodbye(reason="renewed")]
    assert not server.accepts_asks
    assert others(deliver(heard, client)) == [PeerLeaving("renewed")]
    answered = server.step(Answer(CallId(1), Ok()), 0.0)
    assert answered[-1] == Closed("goodbye", "renewed")
    assert deliver(answered, client) == [Answered(AskId(1), Ok()), Closed("goodbye", "renewed")]


def test_a_request_that_crossed_our_goodbye_is_still_served() -> None:
    client, server = core(), core()
    asked = client.step(ask(), 0.0)
    leaving = server.step(Leave("stopping"), 0.0)
    assert others(deliver(asked, server)) == [StartCall(CallId(1), Ping(), 5.0)]
    reply = deliver(leaving, client)
    deliver(reply, server)
    answered = server.step(Answer(CallId(1), Ok()), 0.0)
    assert others(answered) == [Closed("goodbye", "stopping")]
    assert others(deliver(answered, client))[0] == Answered(AskId(1), Ok())


def test_after_goodbye_this_side_asks_nothing_more_and_leaving_twice_is_once() -> None:
    client = core()
    assert sent(client.step(Leave("a"), 0.0)) == [Goodbye(reason="a")]
    assert client.step(Leave("b"), 0.0) == []
    with pytest.raises(LocalProtocolError, match="goodbye"):
        client.step(ask(), 0.0)


def test_after_the_end_every_step_is_without_effect() -> None:
    client = core()
    client.step(Tick(), 30.0)
    assert client.step(ask(), 31.0) == []
    assert client.step(Received(b"\xff"), 31.0) == []
    assert client.step(Tick(), 31.0) == []


@pytest.mark.parametrize(
    ("envelopes", "code"),
    [
        ([Response(id=1, body=Ok())], "bad_id"),
        ([Event(id=1, body=Ok())], "bad_id"),
        ([Error(id=1, code="x", text="")], "bad_id"),
        ([Cancel(id=1)], "bad_id"),
        ([Credit(id=1, bytes=1)], "bad_id"),
        ([request(1), request(1)], "bad_id"),
        ([request(5), request(4)], "bad_id"),
        ([request(1, window_bytes=100), Credit(id=1, bytes=1)], "bad_credit"),
        ([KeepAliveReply()], "unasked"),
        ([Goodbye(reason=""), Goodbye(reason="")], "after_goodbye"),
        ([Goodbye(reason=""), request(1)], "after_goodbye"),
    ],
)
def test_what_a_peer_may_not_say_closes_the_session(envelopes: list[Envelope], code: str) -> None:
    session = core()
    # A call that never ends, so that a goodbye does not close the session by itself.
    tell(session, request(1)) if code == "after_goodbye" else None
    moved = [request(2) if code == "after_goodbye" and isinstance(e, Request) else e for e in envelopes]
    with pytest.raises(RemoteProtocolError) as broken:
        tell(session, *moved)
    assert broken.value.code == code
    assert session.step(ask(), 0.0) == []


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0",
        b"\0\0\0\0",
        b"\0\0\0\5\x80",
        encode_envelope(KeepAlive())[:-1],
        encode_envelope(KeepAlive()) * (MAX_ENVELOPES + 1),
        b"\0\0\0\1\xc0",
    ],
)
def test_a_payload_that_is_no_row_of_envelopes_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="bad_message"):
        core().step(Received(payload), 0.0)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, math.inf, math.nan, 1e9])
def test_a_time_out_that_cannot_be_sent_is_our_own_error(timeout_s: float) -> None:
    session = core()
    with pytest.raises(LocalProtocolError, match="time-out"):
        session.step(ask(timeout_s=timeout_s), 0.0)
    assert sent(session.step(ask(), 0.0)), "and the next request is not disturbed"


def test_what_the_peer_would_refuse_is_not_sent() -> None:
    session = core()
    tell(session, request(1, window_bytes=1000))
    for bad in (Progress(done_ppm=2_000_000), Progress(done_ppm=1, text="x" * 501), Message()):
        for step in (Ask(AskId(1), bad, 5.0), Emit(CallId(1), bad), Answer(CallId(1), bad)):
            with pytest.raises(LocalProtocolError, match="not fit to send"):
                session.step(step, 0.0)
    with pytest.raises(LocalProtocolError, match="over the limit of 20000"):
        session.step(Answer(CallId(1), ResultPart(offset=0, data=bytes(20_000))), 0.0)
    (refusal,) = sent(session.step(Refuse(CallId(1), "internal", "it was too large"), 0.0))
    assert isinstance(refusal, Error)


def test_ids_count_up() -> None:
    session = core()
    assert session.next_ask == 1
    with pytest.raises(LocalProtocolError, match="count up"):
        session.step(ask(2), 0.0)


def test_timers_of_ended_requests_are_not_kept() -> None:
    client, server = core(), core()
    for number in range(1, 1000):
        deliver(client.step(ask(number, timeout_s=1000), 0.0), server)
        deliver(server.step(Answer(CallId(number), Ok()), 0.0), client)
    assert max(len(client._timers), len(server._timers)) < 100
    assert client.deadline() == 10.0
