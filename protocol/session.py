"""One session over an open channel: requests both ways, streams, cancel, deadlines, credit, keep-alive, goodbye.

A pure core: `step(input, now)` gives effects, `deadline()` says when to step with Tick. It is total: any payload in any
state gives effects or RemoteProtocolError, after which the session is over.

Back-pressure. Requests are limited in number and bytes (`busy` beyond), answers by the requests that wait for them,
notices by the socket, since who is told may drop them, and events by credit: a request grants a window, the answerer
emits while its credit is above zero, and the asker returns credit as it consumes. So at most one window and one event
of a stream is ever queued.

Leaving. Goodbye means: no more requests from me, send me none. The other side answers with its own, and the session
closes when both have said it and nothing is under way. Requests that crossed our goodbye on the wire are still served.
"""

import math
from dataclasses import dataclass
from typing import Final, assert_never

from protocol import session_steps as steps
from protocol.envelope import (
    Cancel,
    Credit,
    Envelope,
    Error,
    Event,
    Goodbye,
    KeepAlive,
    KeepAliveReply,
    Notice,
    Request,
    Response,
    checked_body,
    decode_envelopes,
    encode_envelope,
)
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.messages import LedgerBatch
from protocol.packing import MAX_MESSAGE_BYTES
from protocol.timers import Timers

EVENT_OVERHEAD_BYTES: Final = 512
"""Charged for every event on top of its bytes: what a small one costs its receiver as an object."""
MAX_TEXT_CHARS: Final = 500
MAX_TIMEOUT_S: Final = 10.0**8
"""What a deadline field holds; about three years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """What one session may use. The reasons for the values are with their settings (node/net/config.py)."""

    max_calls: int = 64
    max_call_bytes: int = 8 * 2**20
    max_message_bytes: int = MAX_MESSAGE_BYTES
    keep_alive_s: float = 20.0
    silence_s: float = 40.0


@dataclass(slots=True)
class _Ask:
    """A request of ours: how much more the peer may emit, and what was consumed since credit was last given."""

    window_bytes: int
    credit_bytes: int
    consumed_bytes: int = 0


@dataclass(slots=True)
class _Call:
    """A request of the peer's: its size, how much more we may emit, and whether its handler was told to stop."""

    request_bytes: int
    window_bytes: int
    credit_bytes: int
    stopped: bool = False


class SessionCore:
    """The state machine of one session; the same on both sides."""

    def __init__(self, limits: SessionLimits, now: float) -> None:
        self._limits = limits
        self._asks: dict[steps.AskId, _Ask] = {}
        self._calls: dict[steps.CallId, _Call] = {}
        self._call_bytes = 0
        self._last_ask = 0
        self._last_call = 0
        self._timers: Timers[tuple[bool, int]] = Timers(self._is_running)  # (whether it is an ask, its id)
        self._heard_at = now
        self._probed_at = -math.inf
        self._probes_open = 0
        self._said_goodbye = False
        self._heard_goodbye = False
        self._goodbye_reason = ""
        self._closed = False

    @property
    def accepts_asks(self) -> bool:
        """Whether a new request may still be made."""
        return not (self._closed or self._said_goodbye or self._heard_goodbye)

    @property
    def next_ask(self) -> steps.AskId:
        """The id that the next Ask must carry."""
        return steps.AskId(self._last_ask + 1)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way in either direction."""
        return not self._asks and not self._calls

    def may_emit(self, call: steps.CallId) -> bool:
        """Whether an event of this call need not wait; one that nobody wants any more is dropped at once."""
        state = self._calls.get(call)
        return state is None or state.stopped or state.window_bytes == 0 or state.credit_bytes > 0

    def deadline(self) -> float:
        """When to step with Tick at the latest; infinite once closed."""
        if self._closed:
            return math.inf
        waited = self._limits.silence_s if self._probed_at >= self._heard_at else self._limits.keep_alive_s
        alive = self._heard_at + waited
        due = self._timers.next_at()
        return alive if due is None else min(alive, due)

    def step(self, event: steps.Input, now: float) -> list[steps.Effect]:
        """What to do about `event`, in order. RemoteProtocolError: the peer broke a rule; LocalProtocolError: we."""
        if self._closed:
            return []
        match event:
            case steps.Received():
                effects = self._received(event.payload, now)
            case steps.Ask():
                effects = self._ask(event, now)
            case steps.Inform():
                effects = self._inform(event.body)
            case steps.Withdraw():
                effects = self._end_ask(event.id, steps.Send(encode_envelope(Cancel(id=event.id))))
            case steps.Consumed():
                effects = self._consumed(event)
            case steps.Emit():
                effects = self._emit(event)
            case steps.Answer():
                effects = self._end_call(event.id, Response(id=event.id, body=checked_body(event.body)))
            case steps.Refuse():
                code, text = event.code[:64] or "refused", event.text[:MAX_TEXT_CHARS]
                effects = self._end_call(event.id, Error(id=event.id, code=code, text=text))
            case steps.Abandon():
                effects = self._end_call(event.id, None)
            case steps.Probe():
                effects = self._probe(now)
            case steps.Leave():
                effects = self._leave(event.reason)
            case steps.Tick():
                effects = self._tick(now)
            case _:
                assert_never(event)
        if self._said_goodbye and self._heard_goodbye and self.is_idle and not self._closed:
            self._closed = True
            effects.append(steps.Closed("goodbye", self._goodbye_reason))
        return effects

    # --- This side's requests

    def _ask(self, ask: steps.Ask, now: float) -> list[steps.Effect]:
        if not self.accepts_asks:
            raise LocalProtocolError("this session takes no more requests: one side has said goodbye")
        if ask.id != self.next_ask:
            raise LocalProtocolError(f"request ids count up: {ask.id} cannot follow {self._last_ask}")
        if not 0 < ask.timeout_s <= MAX_TIMEOUT_S:
            raise LocalProtocolError(f"a time-out of {ask.timeout_s} s is not above 0 and at most {MAX_TIMEOUT_S:g}")
        deadline_ms = math.ceil(ask.timeout_s * 1000)
        request = Request(
            id=ask.id, deadline_ms=deadline_ms, window_bytes=ask.window_bytes, body=checked_body(ask.body)
        )
        encoded = self._encode(request)
        self._last_ask = ask.id
        self._asks[ask.id] = _Ask(ask.window_bytes, ask.window_bytes)
        self._add_timer(now + ask.timeout_s, ask.id, is_ask=True)
        return [steps.Send(encoded)]

    def _inform(self, body: LedgerBatch) -> list[steps.Effect]:
        if not self.accepts_asks:
            raise LocalProtocolError("this session takes no more notices: one side has said goodbye")
        return [steps.Send(self._encode(Notice(body=body)))]

    def _end_ask(self, ask: steps.AskId, *effects: steps.Effect) -> list[steps.Effect]:
        """Forget the request and give the effects; nothing when it has already ended."""
        return list(effects) if self._asks.pop(ask, None) else []

    def _consumed(self, event: steps.Consumed) -> list[steps.Effect]:
        ask = self._asks.get(event.id)
        if ask is None:
            return []
        ask.consumed_bytes += event.charge_bytes
        # Half a window at a time: few credits on the wire, and the sender never waits while the reader has nothing.
        if ask.consumed_bytes * 2 < ask.window_bytes:
            return []
        granted, ask.consumed_bytes = ask.consumed_bytes, 0
        ask.credit_bytes += granted
        return [steps.Send(encode_envelope(Credit(id=event.id, bytes=granted)))]

    # --- The peer's requests

    def _emit(self, event: steps.Emit) -> list[steps.Effect]:
        call = self._calls.get(event.id)
        if call is None or call.stopped or call.window_bytes == 0:
            return []
        if call.credit_bytes <= 0:
            raise LocalProtocolError(f"request {event.id} has no credit left for events: wait for CreditArrived")
        encoded = self._encode(Event(id=event.id, body=checked_body(event.body)))
        call.credit_bytes -= len(encoded) + EVENT_OVERHEAD_BYTES
        return [steps.Send(encoded)]

    def _end_call(self, call_id: steps.CallId, answer: Response | Error | None) -> list[steps.Effect]:
        """Forget the call; the answer goes out unless the call was stopped before."""
        # Encoded first: when it cannot be sent, the call is still there to be refused.
        encoded = None if answer is None else self._encode(answer)
        call = self._calls.pop(call_id, None)
        if call is None:
            return []
        self._call_bytes -= call.request_bytes
        return [] if encoded is None or call.stopped else [steps.Send(encoded)]

    def _stop_call(self, call_id: steps.CallId) -> list[steps.Effect]:
        """Its place stays taken until the handler has ended, so that cancelling does not buy more than the limit."""
        call = self._calls.get(call_id)
        if call is None or call.stopped:
            return []
        call.stopped = True
        return [steps.StopCall(call_id)]

    # --- Time and leaving

    def _tick(self, now: float) -> list[steps.Effect]:
        if now >= self._heard_at + self._limits.silence_s:
            self._closed = True
            return [steps.Closed("silent", f"nothing was heard from the peer for {self._limits.silence_s:g} s")]
        effects: list[steps.Effect] = []
        while (timer := self._timers.pop_due(now)) is not None:
            is_ask, number = timer
            if is_ask:
                ask = steps.AskId(number)
                effects += self._end_ask(ask, steps.Send(encode_envelope(Cancel(id=ask))), steps.TimedOut(ask))
            else:
                late = Error(id=number, code="deadline", text="the request's own deadline passed before the answer")
                effects += [*self._stop_call(steps.CallId(number)), steps.Send(encode_envelope(late))]
        if now >= self._heard_at + self._limits.keep_alive_s and self._probed_at < self._heard_at:
            effects += self._probe(now)
        return effects

    def _probe(self, now: float) -> list[steps.Effect]:
        self._probed_at = now
        self._probes_open += 1
        return [steps.Send(encode_envelope(KeepAlive()))]

    def _leave(self, reason: str) -> list[steps.Effect]:
        if self._said_goodbye:
            return []
        self._said_goodbye = True
        self._goodbye_reason = self._goodbye_reason or reason[:MAX_TEXT_CHARS]
        return [steps.Send(encode_envelope(Goodbye(reason=reason[:MAX_TEXT_CHARS])))]

    # --- What the peer sends

    def _received(self, payload: bytes | memoryview, now: float) -> list[steps.Effect]:
        self._heard_at = now
        effects: list[steps.Effect] = []
        try:
            for envelope, size in decode_envelopes(payload, self._limits.max_message_bytes):
                effects += self._handle(envelope, size, now)
        except RemoteProtocolError:
            self._closed = True
            raise
        return effects

    def _handle(self, envelope: Envelope, size: int, now: float) -> list[steps.Effect]:
        match envelope:
            case Request():
                return self._handle_request(envelope, size, now)
            case Event():
                return self._handle_event(envelope, size)
            case Response():
                return self._end_ask(self._own(envelope.id), steps.Answered(steps.AskId(envelope.id), envelope.body))
            case Error():
                return self._end_ask(
                    self._own(envelope.id), steps.Refused(steps.AskId(envelope.id), envelope.code, envelope.text)
                )
            case Cancel():
                return self._stop_call(self._theirs(envelope.id))
            case Credit():
                return self._handle_credit(envelope)
            case Notice():
                if self._heard_goodbye:
                    raise RemoteProtocolError("after_goodbye", "a notice came after the peer's goodbye")
                return [steps.NoticeArrived(envelope.body)]
            case KeepAlive():
                return [steps.Send(encode_envelope(KeepAliveReply()))]
            case KeepAliveReply():
                if self._probes_open == 0:
                    raise RemoteProtocolError("unasked", "a keep-alive reply came that nothing had asked for")
                self._probes_open -= 1
                return [steps.ProbeAnswered()]
            case Goodbye():
                if self._heard_goodbye:
                    raise RemoteProtocolError("after_goodbye", "a second goodbye came")
                self._heard_goodbye = True
                return [steps.PeerLeaving(envelope.reason), *self._leave(envelope.reason)]
            case _:
                assert_never(envelope)

    def _handle_request(self, request: Request, size: int, now: float) -> list[steps.Effect]:
        if self._heard_goodbye:
            raise RemoteProtocolError("after_goodbye", f"request {request.id} came after the peer's goodbye")
        if request.id <= self._last_call:
            raise RemoteProtocolError("bad_id", f"request {request.id} came after request {self._last_call}")
        self._last_call = request.id
        limits = self._limits
        if len(self._calls) >= limits.max_calls:
            return [self._refusal(request.id, "busy", f"{limits.max_calls} requests at once is the limit of a session")]
        if self._calls and self._call_bytes + size > limits.max_call_bytes:
            text = f"the requests under way may hold {limits.max_call_bytes} bytes in a session: wait for an answer"
            return [self._refusal(request.id, "busy", text)]
        if request.deadline_ms == 0:
            return [self._refusal(request.id, "deadline", "the request arrived with no time left")]
        call_id, deadline = steps.CallId(request.id), now + request.deadline_ms / 1000
        self._calls[call_id] = _Call(size, request.window_bytes, request.window_bytes)
        self._call_bytes += size
        self._add_timer(deadline, call_id, is_ask=False)
        return [steps.StartCall(call_id, request.body, deadline)]

    def _handle_event(self, event: Event, size: int) -> list[steps.Effect]:
        ask_id = self._own(event.id)
        ask = self._asks.get(ask_id)
        if ask is None:
            return []
        if ask.credit_bytes <= 0:
            raise RemoteProtocolError("over_credit", f"an event of request {event.id} came without credit for it")
        charge = size + EVENT_OVERHEAD_BYTES
        ask.credit_bytes -= charge
        return [steps.EventArrived(ask_id, event.body, charge)]

    def _handle_credit(self, credit: Credit) -> list[steps.Effect]:
        call_id = self._theirs(credit.id)
        call = self._calls.get(call_id)
        if call is None or call.stopped:
            return []
        call.credit_bytes += credit.bytes
        if call.credit_bytes > call.window_bytes:
            raise RemoteProtocolError(
                "bad_credit", f"request {credit.id} was granted more than its window of {call.window_bytes} bytes"
            )
        return [steps.CreditArrived(call_id)]

    def _own(self, number: int) -> steps.AskId:
        """An id of ours that the peer refers to. One that has ended is normal: its answer and our cancel may cross."""
        if number > self._last_ask:
            raise RemoteProtocolError("bad_id", f"an answer came to request {number}, which was never made")
        return steps.AskId(number)

    def _theirs(self, number: int) -> steps.CallId:
        if number > self._last_call:
            raise RemoteProtocolError("bad_id", f"the peer refers to its request {number}, which it never made")
        return steps.CallId(number)

    # --- Small parts

    def _refusal(self, call: int, code: str, text: str) -> steps.Send:
        return steps.Send(encode_envelope(Error(id=call, code=code, text=text)))

    def _encode(self, envelope: Envelope) -> bytes:
        encoded = encode_envelope(envelope)
        if len(encoded) > self._limits.max_message_bytes:
            raise LocalProtocolError(
                f"a message of {len(encoded)} bytes is over the limit of {self._limits.max_message_bytes}: split it"
            )
        return encoded

    def _is_running(self, timer: tuple[bool, int]) -> bool:
        is_ask, number = timer
        if is_ask:
            return steps.AskId(number) in self._asks
        call = self._calls.get(steps.CallId(number))
        return call is not None and not call.stopped

    def _add_timer(self, at: float, number: int, *, is_ask: bool) -> None:
        self._timers.add(at, (is_ask, number), running=len(self._asks) + len(self._calls))
