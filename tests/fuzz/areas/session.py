"""The session's state machine: this side uses it rightly while the peer sends anything at any time."""

from collections.abc import Iterator

from protocol.envelope import LENGTH
from protocol.errors import RemoteProtocolError
from protocol.messages import Ok, Ping, Progress
from protocol.packing import pack
from protocol.session import SessionCore, SessionLimits
from protocol.session_steps import (
    Abandon,
    Answer,
    Answered,
    Ask,
    AskId,
    CallId,
    Closed,
    Consumed,
    Effect,
    Emit,
    EventArrived,
    Input,
    Leave,
    Probe,
    Received,
    Refuse,
    Refused,
    StartCall,
    StopCall,
    Tick,
    TimedOut,
    Withdraw,
)
from tests.fuzz import scripts
from tests.fuzz.areas.messages import envelopes
from tests.fuzz.target import Target, plain

LIMITS = SessionLimits(max_calls=3, max_call_bytes=4096, max_message_bytes=8192, keep_alive_s=10, silence_s=30)
RECEIVE, RECEIVE_RAW, ASK, ANSWER, REFUSE, ABANDON, EMIT, WITHDRAW, PROBE, LEAVE, TICK = range(11)


class Course:
    """One core, and what this side knows of its own part."""

    def __init__(self) -> None:
        self.core = SessionCore(LIMITS, 0.0)
        self.now_s = 0.0
        self.is_over = False
        self.calls: list[CallId] = []
        self.asks: list[AskId] = []
        self.unread: list[EventArrived] = []

    def step(self, event: Input) -> None:
        """Feed one input and check what comes out of it."""
        for effect in self.core.step(event, self.now_s):
            self.note(effect)
        assert len(self.calls) <= LIMITS.max_calls
        if not self.is_over:
            assert self.core.deadline() < self.now_s + 1e9

    def note(self, effect: Effect) -> None:
        """An effect, against what may happen at all."""
        match effect:
            case StartCall(call):
                assert call not in self.calls
                self.calls.append(call)
            case StopCall(call):
                assert call in self.calls
            case Answered(ask) | Refused(ask) | TimedOut(ask):
                self.asks.remove(ask)
            case EventArrived(ask):
                assert ask in self.asks
                self.unread.append(effect)
            case Closed():
                self.is_over = True
            case _:
                pass

    def ours(self, operation: int, payload: bytes) -> None:
        """Something that this side does, if it may do it now; the payload's first byte chooses."""
        choice = payload[0] if payload else 0
        match operation:
            case 2 if self.core.accepts_asks:
                number = self.core.next_ask
                self.asks.append(number)
                self.step(Ask(number, Ping(), 0.5 + choice, window_bytes=choice * 16))
            case 3 | 4 | 5 if self.calls:
                call = self.calls.pop(choice % len(self.calls))
                self.step(
                    Answer(call, Ok())
                    if operation == ANSWER
                    else Refuse(call, "no", "x")
                    if operation == REFUSE
                    else Abandon(call)
                )
            case 6 if self.calls and self.core.may_emit(self.calls[choice % len(self.calls)]):
                self.step(Emit(self.calls[choice % len(self.calls)], Progress(done_ppm=choice)))
            case 7 if self.asks:
                self.step(Withdraw(self.asks.pop(choice % len(self.asks))))
            case 8:
                self.step(Probe())
            case 9:
                self.step(Leave("x" * choice * 3))
            case 10:
                self.now_s += choice / 8
                self.step(Tick())
            case _ if self.unread:
                event = self.unread.pop()
                self.step(Consumed(event.id, event.charge_bytes))
            case _:
                pass


def run_session(data: bytes) -> None:
    """A course of steps: payloads of the peer, whole or as raw bytes, and this side's own doings in between."""
    course = Course()
    for operation, payload in scripts.decode(data):
        match operation:
            case 0:
                course.step(Received(LENGTH.pack(len(payload)) + payload))
            case 1:
                course.step(Received(payload))
            case _:
                course.ours(operation, payload)
        if course.is_over:
            return


def _seeds() -> Iterator[bytes]:
    packed = [pack(envelope) for envelope in envelopes()]
    requests, rest = packed[:18], packed[18:]
    yield scripts.encode([(RECEIVE, requests[0]), (ANSWER, b""), (RECEIVE, requests[3]), (REFUSE, b"")])
    yield scripts.encode([(RECEIVE, one) for one in requests[:6]])
    yield scripts.encode([(ASK, b"\x20"), (RECEIVE, rest[0]), (15, b""), (RECEIVE, rest[1])])
    yield scripts.encode([(ASK, b"\x00"), (RECEIVE, rest[2])])
    yield scripts.encode(
        [(RECEIVE, requests[6]), (EMIT, b"\x01"), (RECEIVE, rest[4]), (RECEIVE, rest[3]), (ABANDON, b"")]
    )
    yield scripts.encode([(RECEIVE, rest[5]), (TICK, b"\xff"), (TICK, b"\xff")])
    yield scripts.encode([(ASK, b"\x01"), (TICK, b"\x40"), (RECEIVE, rest[1]), (WITHDRAW, b""), (PROBE, b"")])
    yield scripts.encode([(LEAVE, b"\x05"), (RECEIVE, requests[1]), (ANSWER, b""), (RECEIVE, rest[6])])
    yield scripts.encode([(RECEIVE_RAW, b"\0\0\0\1\x80"), (RECEIVE, rest[6])])


TARGETS = (
    Target(
        name="session",
        form="script",
        opened=plain(run_session),
        seeds=_seeds,
        may_raise=(RemoteProtocolError,),
        share=4,
    ),
)
