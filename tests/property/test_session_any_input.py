"""Whatever comes, in whatever state: effects or RemoteProtocolError, and never more queued than the limits say."""

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from protocol.envelope import (
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
    encode_envelope,
)
from protocol.errors import RemoteProtocolError
from protocol.messages import AnyMessage, Ok, Ping, Progress
from protocol.session import EVENT_OVERHEAD_BYTES, SessionCore, SessionLimits
from protocol.session_steps import (
    Abandon,
    Answer,
    Answered,
    Ask,
    Closed,
    Consumed,
    Effect,
    Emit,
    EventArrived,
    Input,
    Leave,
    Probe,
    Received,
    Refused,
    Send,
    StartCall,
    StopCall,
    Tick,
    TimedOut,
    Withdraw,
)

LIMITS = SessionLimits(max_calls=3, max_call_bytes=4096, max_message_bytes=8192, keep_alive_s=10, silence_s=30)
WINDOW_BYTES = 2048

ids = st.integers(1, 6)
bodies: st.SearchStrategy[AnyMessage] = st.one_of(
    st.just(Ping()), st.just(Ok()), st.builds(Progress, done_ppm=st.integers(0, 10**6), text=st.text(max_size=20))
)
envelopes: st.SearchStrategy[Envelope] = st.one_of(
    st.builds(Request, id=ids, deadline_ms=st.integers(0, 20_000), window_bytes=st.integers(0, 4096), body=bodies),
    st.builds(Event, id=ids, body=bodies),
    st.builds(Response, id=ids, body=bodies),
    st.builds(Error, id=ids, code=st.just("busy"), text=st.text(max_size=10)),
    st.builds(Cancel, id=ids),
    st.builds(Credit, id=ids, bytes=st.integers(0, 4096)),
    st.just(KeepAlive()),
    st.just(KeepAliveReply()),
    st.builds(Goodbye, reason=st.text(max_size=10)),
)
payloads = st.one_of(
    st.binary(max_size=200),
    st.lists(envelopes, min_size=1, max_size=4).map(lambda row: b"".join(encode_envelope(e) for e in row)),
    st.tuples(envelopes, st.integers(0, 60), st.integers(1, 255)).map(
        lambda drawn: _altered(encode_envelope(drawn[0]), drawn[1], drawn[2])
    ),
)


def _altered(data: bytes, position: int, mask: int) -> bytes:
    position %= len(data)
    return data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :]


class HostilePeer(RuleBasedStateMachine):
    """One core, used rightly from its own side, against a peer that sends anything at any time."""

    @initialize()
    def open(self) -> None:
        self.now = 0.0
        self.core = SessionCore(LIMITS, self.now)
        self.over = False
        self.calls: set[int] = set()
        self.asks: set[int] = set()

    def step(self, event: Input) -> None:
        try:
            effects = self.core.step(event, self.now)
        except RemoteProtocolError:
            assert isinstance(event, Received)
            self.over = True
            return
        for effect in effects:
            self.note(effect)

    def note(self, effect: Effect) -> None:
        match effect:
            case StartCall(call_id, _, deadline):
                assert call_id not in self.calls
                assert deadline > self.now
                self.calls.add(call_id)
            case StopCall(call_id):
                assert call_id in self.calls
            case Answered(ask) | Refused(ask) | TimedOut(ask):
                self.asks.remove(ask)  # KeyError: two outcomes, or one that nothing asked for
            case EventArrived(ask):
                assert ask in self.asks
            case Closed():
                self.over = True
            case _:
                pass

    @rule(payload=payloads)
    def receive(self, payload: bytes) -> None:
        self.step(Received(payload))

    @rule(body=bodies, timeout_s=st.floats(0.001, 20), window=st.sampled_from([0, 1000]))
    def ask(self, body: AnyMessage, timeout_s: float, window: int) -> None:
        if self.core.accepts_asks:
            number = self.core.next_ask
            self.asks.add(number)
            self.step(Ask(number, body, timeout_s, window))

    @rule(data=st.data(), kind=st.sampled_from(["answer", "abandon", "emit"]), body=bodies)
    def handle(self, data: st.DataObject, kind: str, body: AnyMessage) -> None:
        if not self.calls:
            return
        call = data.draw(st.sampled_from(sorted(self.calls)))
        if kind == "emit":
            if self.core.may_emit(call):  # type: ignore[arg-type]  # plain numbers here
                self.step(Emit(call, body))  # type: ignore[arg-type]
            return
        self.calls.remove(call)
        self.step(Answer(call, body) if kind == "answer" else Abandon(call))  # type: ignore[arg-type]

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        if self.asks:
            ask = data.draw(st.sampled_from(sorted(self.asks)))
            self.asks.remove(ask)
            self.step(Withdraw(ask))  # type: ignore[arg-type]

    @rule()
    def probe(self) -> None:
        self.step(Probe())

    @rule()
    def leave(self) -> None:
        self.step(Leave("x"))

    @rule(later_s=st.floats(0, 15))
    def time_passes(self, later_s: float) -> None:
        self.now += later_s
        if self.core.deadline() <= self.now:
            self.step(Tick())
            assert self.core.deadline() > self.now, "a tick leaves nothing that is due"

    @invariant()
    def limits_hold(self) -> None:
        assert len(self.calls) <= LIMITS.max_calls


HostilePeer.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestAnyInputInAnyState = HostilePeer.TestCase


class TwoHonestSides(RuleBasedStateMachine):
    """Two cores and what is on the wire between them, delivered in order but at any time: nobody is ever at fault."""

    @initialize()
    def open(self) -> None:
        self.now = 0.0
        self.cores = [SessionCore(LIMITS, 0.0), SessionCore(LIMITS, 0.0)]
        self.wire: list[deque[bytes]] = [deque(), deque()]  # what is on its way to each
        self.calls: list[set[int]] = [set(), set()]
        self.asks: list[set[int]] = [set(), set()]
        self.unread: list[list[EventArrived]] = [[], []]

    def step(self, side: int, event: Input) -> None:
        for effect in self.cores[side].step(event, self.now):
            match effect:
                case Send(encoded):
                    self.wire[1 - side].append(encoded)
                case StartCall(call_id):
                    self.calls[side].add(call_id)
                case Answered(ask) | TimedOut(ask):
                    self.asks[side].remove(ask)
                case Refused(ask, code):
                    assert code in ("busy", "deadline"), code
                    self.asks[side].remove(ask)
                case EventArrived():
                    self.unread[side].append(effect)
                case Closed(code):
                    assert code == "goodbye"
                    assert not self.asks[side]
                case _:
                    pass

    @rule(side=st.integers(0, 1), window=st.sampled_from([0, WINDOW_BYTES]), timeout_s=st.floats(0.1, 8))
    def ask(self, side: int, window: int, timeout_s: float) -> None:
        core = self.cores[side]
        if core.accepts_asks:
            number = core.next_ask
            self.asks[side].add(number)
            self.step(side, Ask(number, Ping(), timeout_s, window))

    @rule(side=st.integers(0, 1), many=st.integers(1, 5))
    def deliver(self, side: int, many: int) -> None:
        taken = [self.wire[side].popleft() for _ in range(min(many, len(self.wire[side])))]
        if taken:
            self.step(side, Received(b"".join(taken)))

    @rule(side=st.integers(0, 1), data=st.data(), text=st.text("x", max_size=500))
    def emit(self, side: int, data: st.DataObject, text: str) -> None:
        if self.calls[side]:
            call = data.draw(st.sampled_from(sorted(self.calls[side])))
            if self.cores[side].may_emit(call):  # type: ignore[arg-type]
                self.step(side, Emit(call, Progress(done_ppm=1, text=text)))  # type: ignore[arg-type]

    @rule(side=st.integers(0, 1), data=st.data(), abandon=st.booleans())
    def end_call(self, side: int, data: st.DataObject, abandon: bool) -> None:
        if self.calls[side]:
            call = data.draw(st.sampled_from(sorted(self.calls[side])))
            self.calls[side].remove(call)
            self.step(side, Answer(call, Ok()))  # type: ignore[arg-type]

    @rule(side=st.integers(0, 1))
    def consume(self, side: int) -> None:
        if self.unread[side]:
            event = self.unread[side].pop(0)
            self.step(side, Consumed(event.id, event.charge_bytes))

    @rule(side=st.integers(0, 1), data=st.data())
    def withdraw(self, side: int, data: st.DataObject) -> None:
        if self.asks[side]:
            ask = data.draw(st.sampled_from(sorted(self.asks[side])))
            self.asks[side].remove(ask)
            self.step(side, Withdraw(ask))  # type: ignore[arg-type]

    @rule(side=st.integers(0, 1))
    def leave(self, side: int) -> None:
        self.step(side, Leave("x"))

    @rule(later_s=st.floats(0, 3))
    def time_passes(self, later_s: float) -> None:
        self.now = min(self.now + later_s, 9.0)  # less than the keep-alive, which needs a prompt wire
        for side in (0, 1):
            self.step(side, Tick())

    @invariant()
    def the_receive_queue_is_bounded(self) -> None:
        largest = EVENT_OVERHEAD_BYTES + 700
        for unread in self.unread:
            for ask in {event.id for event in unread}:
                assert sum(e.charge_bytes for e in unread if e.id == ask) <= WINDOW_BYTES + largest


TwoHonestSides.TestCase.settings = settings(max_examples=60, stateful_step_count=50)
TestHonestSidesNeverBlameEachOther = TwoHonestSides.TestCase


@given(st.lists(payloads, max_size=6))
def test_any_payloads_give_effects_or_remote_protocol_error(received: list[bytes]) -> None:
    core = SessionCore(LIMITS, 0.0)
    for payload in received:
        try:
            core.step(Received(payload), 0.0)
        except RemoteProtocolError:
            break
