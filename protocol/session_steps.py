"""What goes into a session core (inputs) and what comes out of it (effects). Plain values, no behaviour.

Ids of requests count per direction: `AskId` names one that this side made, `CallId` one that the peer made.
Times are seconds on the caller's monotonic clock.
"""

from dataclasses import dataclass
from typing import NewType

from protocol.messages import AnyMessage, LedgerBatch, Message

AskId = NewType("AskId", int)
CallId = NewType("CallId", int)

# --- Inputs


@dataclass(frozen=True, slots=True)
class Received:
    """A frame was opened; `payload` is only read during the step."""

    payload: bytes | memoryview


@dataclass(frozen=True, slots=True)
class Ask:
    """This side makes a request. Ids count up from 1. `window_bytes` 0 asks for no events."""

    id: AskId
    body: Message
    timeout_s: float
    window_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Inform:
    """This side says something that needs no answer."""

    body: LedgerBatch


@dataclass(frozen=True, slots=True)
class Withdraw:
    """This side no longer wants the answer."""

    id: AskId


@dataclass(frozen=True, slots=True)
class Consumed:
    """This side has used an event that was delivered with this `charge_bytes`."""

    id: AskId
    charge_bytes: int


@dataclass(frozen=True, slots=True)
class Emit:
    """A handler sends an event; only while `may_emit` is true."""

    id: CallId
    body: Message


@dataclass(frozen=True, slots=True)
class Answer:
    """A handler ended with the final answer."""

    id: CallId
    body: Message


@dataclass(frozen=True, slots=True)
class Refuse:
    """A handler ended without one."""

    id: CallId
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """A handler ended because it was stopped."""

    id: CallId


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask whether the peer is there; ProbeAnswered follows when it is."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Start no more requests, and close when what is under way has ended."""

    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has come."""


Input = Received | Ask | Inform | Withdraw | Consumed | Emit | Answer | Refuse | Abandon | Probe | Leave | Tick

# --- Effects


@dataclass(frozen=True, slots=True)
class Send:
    """Send this encoded envelope; several may share a frame, in order."""

    encoded: bytes


@dataclass(frozen=True, slots=True)
class StartCall:
    """Run the handler. It must end in Answer, Refuse or Abandon."""

    id: CallId
    body: AnyMessage
    deadline: float


@dataclass(frozen=True, slots=True)
class StopCall:
    """The peer cancelled, or the deadline passed: stop the handler."""

    id: CallId


@dataclass(frozen=True, slots=True)
class CreditArrived:
    """The handler may emit again."""

    id: CallId


@dataclass(frozen=True, slots=True)
class EventArrived:
    """An event of our request; give the charge back with Consumed once it is used."""

    id: AskId
    body: AnyMessage
    charge_bytes: int


@dataclass(frozen=True, slots=True)
class NoticeArrived:
    """The peer says something that needs no answer: take it at once, or drop it."""

    body: LedgerBatch


@dataclass(frozen=True, slots=True)
class Answered:
    """The final answer to our request."""

    id: AskId
    body: AnyMessage


@dataclass(frozen=True, slots=True)
class Refused:
    """The peer gives no answer to our request, and says why."""

    id: AskId
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Our request's time is up; the peer has been told."""

    id: AskId


@dataclass(frozen=True, slots=True)
class ProbeAnswered:
    """The peer is there."""


@dataclass(frozen=True, slots=True)
class PeerLeaving:
    """The peer takes no more requests on this session."""

    reason: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over, in an orderly way (`goodbye`) or because the peer fell silent (`silent`)."""

    code: str
    reason: str


Effect = (
    Send
    | StartCall
    | StopCall
    | CreditArrived
    | EventArrived
    | NoticeArrived
    | Answered
    | Refused
    | TimedOut
    | ProbeAnswered
    | PeerLeaving
    | Closed
)
