"""One open session with a peer: the shell around protocol/session.py.

The stream hands over frames, which are opened and step the core; what the core wants sent goes to the sender; a timer
steps it with Tick, and every request of the peer runs its handler in a task of its own. `run` holds it all and ends
with it.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import assert_never

import structlog

from crypto.identity import short_id
from node.net.config import NetConfig
from node.net.endpoint import Endpoint
from node.net.errors import Refusal, RemoteRefused, SessionClosed
from node.net.sender import Sender
from node.net.signal import Signal
from node.net.stream import Stream
from node.net.transport import Frame, FrameStream
from protocol import session_steps as steps
from protocol.channel import Channel
from protocol.errors import RemoteProtocolError
from protocol.messages import AnyMessage, LedgerBatch, Message
from protocol.session import SessionCore

__all__ = ["Call", "Handler", "Session", "Stream"]

log = structlog.get_logger(__name__)


class Call:
    """A request of the peer, as its handler sees it."""

    def __init__(self, session: "Session", call_id: steps.CallId, body: AnyMessage, deadline: float) -> None:
        self.session = session
        self.body = body
        self._id = call_id
        self._deadline = deadline

    @property
    def peer_key(self) -> bytes:
        """Who asks: the proven identity key."""
        return self.session.peer_key

    def remaining_s(self) -> float:
        """Seconds until the answer is worth nothing; then the handler is cancelled."""
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    async def emit(self, event: Message) -> None:
        """Send an event on the way to the answer; waits while the peer is behind. Dropped if it asked for none."""
        await self.session.emit(self._id, event)


Handler = Callable[[Call], Awaitable[Message]]
"""Returns the final answer or raises Refusal. Cancelled when the peer cancels, time is up, or the session ends."""
OnNotice = Callable[[bytes, LedgerBatch], None]
"""Takes what a peer says without waiting for an answer, or drops it; at once, and bounded by itself."""


class Session:
    """Requests and streams to one peer, over one channel, until either side ends it."""

    def __init__(
        self,
        stream: FrameStream,
        channel: Channel,
        handler: Handler,
        config: NetConfig,
        *,
        is_initiator: bool,
        on_notice: OnNotice | None = None,
    ) -> None:
        self.peer_key = channel.peer_key
        self.handshake_hash = channel.handshake_hash
        self.remote: Endpoint = stream.remote
        self.is_initiator = is_initiator
        self.fault: RemoteProtocolError | None = None  # what the peer broke, if that ended the session
        self._error: Exception | None = None  # what broke here, if that did
        self._stream = stream
        self._channel = channel
        self._handler = handler
        self._on_notice = on_notice
        self._config = config
        self._loop = asyncio.get_running_loop()
        self.opened_at = self.used_at = self._loop.time()
        self._core = SessionCore(config.limits, self.opened_at)
        self._places = asyncio.Semaphore(config.max_calls)
        self._streams: dict[steps.AskId, Stream] = {}
        self._handlers: dict[steps.CallId, asyncio.Task[None]] = {}
        self._probes: deque[asyncio.Future[None]] = deque()
        self._changed = Signal()  # space for what is sent, credit for events, or the end
        self._sender = Sender(stream, channel, config, on_sent=self._changed.fire, on_broken=self._end)
        self._group: asyncio.TaskGroup | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._ended = asyncio.Event()
        self.end_reason = ""
        self._close_word = ""

    # --- For those who use it

    @property
    def is_open(self) -> bool:
        """Whether anything can still come over it."""
        return not self._ended.is_set()

    @property
    def accepts_requests(self) -> bool:
        """Whether new requests can be made: it is open, and neither side has said goodbye."""
        return self.is_open and self._core.accepts_asks

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way in either direction."""
        return self._core.is_idle

    async def request(self, body: Message, *, timeout_s: float) -> AnyMessage:
        """The peer's final answer. Raises RemoteRefused, SessionClosed or TimeoutError; cancelling it cancels there."""
        async with self._exchange(body, timeout_s, 0) as stream:
            return await stream.result()

    def stream(self, body: Message, *, timeout_s: float) -> AbstractAsyncContextManager[Stream]:
        """As `request`, with the events on the way; leaving the block early cancels at the peer."""
        return self._exchange(body, timeout_s, self._config.event_window_bytes)

    async def inform(self, body: LedgerBatch, *, timeout_s: float) -> None:
        """Say something that needs no answer, once the peer takes it; nobody says whether it was heard.

        SessionClosed, or TimeoutError when the peer reads too slowly.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._space()
        except TimeoutError:
            raise TimeoutError(f"{short_id(self.peer_key)} took no data for {timeout_s:g} s") from None
        self._require_open()
        self._inform(body)

    def tell(self, body: LedgerBatch) -> bool:
        """As `inform`, at once; False, and nothing is said, while the peer takes no more or the session ends."""
        if not self.accepts_requests or not self._sender.has_space:
            return False
        self._inform(body)
        return True

    def _inform(self, body: LedgerBatch) -> None:
        self.used_at = self._loop.time()
        self._step(steps.Inform(body))

    async def probe(self, timeout_s: float) -> float:
        """Seconds that a keep-alive and its answer take; SessionClosed or TimeoutError when none comes."""
        self._require_open()
        answered = self._loop.create_future()
        self._probes.append(answered)
        started = self._loop.time()
        self._step(steps.Probe())
        try:
            async with asyncio.timeout(timeout_s):
                await answered
        except TimeoutError:
            raise TimeoutError(f"{short_id(self.peer_key)} did not answer within {timeout_s:g} s") from None
        return self._loop.time() - started

    async def close(self, reason: str, *, drain_s: float | None = None) -> None:
        """Say goodbye, let what is under way finish for at most `drain_s` (`NetConfig.drain_s`), then close."""
        self._step(steps.Leave(reason))
        try:
            async with asyncio.timeout(self._config.drain_s if drain_s is None else drain_s):
                await self._ended.wait()
        except TimeoutError:
            self.abort(reason)

    def abort(self, reason: str) -> None:
        """End it now: whatever is under way fails with SessionClosed."""
        self._end(reason, reason)

    # --- For Peers, which owns its life

    async def run(self) -> None:
        """Hold the session until it has ended. Nothing that the peer does is raised from here."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._arm()
                self._stream.deliver(self._received, self._stream_ended)
                sending = group.create_task(self._sender.run())
                await self._ended.wait()
                for task in self._handlers.values():
                    task.cancel()
                sending.cancel()
                if self._error is not None:
                    raise self._error
                await self._sender.finish()
                await self._stream.close(self._close_word)
        finally:
            self.abort("this node stopped")
            if self._timer is not None:
                self._timer.cancel()
            await self._stream.close(self._close_word)

    async def emit(self, call: steps.CallId, event: Message) -> None:
        """What `Call.emit` does."""
        while self.is_open and not (self._core.may_emit(call) and self._sender.has_space):
            await self._changed.wait()
        self._step(steps.Emit(call, event))

    # --- Requests of ours

    @asynccontextmanager
    async def _exchange(self, body: Message, timeout_s: float, window_bytes: int) -> AsyncIterator[Stream]:
        deadline = self._loop.time() + timeout_s
        await self._take_place(deadline)
        try:
            self._require_open()
            ask = self._core.next_ask
            stream = Stream(lambda charge: self._step(steps.Consumed(ask, charge)))
            self._streams[ask] = stream
            try:
                self._step(steps.Ask(ask, body, deadline - self._loop.time(), window_bytes))
                yield stream
            finally:
                self.used_at = self._loop.time()
                del self._streams[ask]
                if not stream.has_ended:
                    self._step(steps.Withdraw(ask))
        finally:
            self._places.release()

    async def _take_place(self, deadline: float) -> None:
        """Wait until one more request may be made: the peer would refuse it, or has not taken those before."""
        if self._sender.has_space and not self._places.locked():
            await self._places.acquire()  # At once; a timer for it would cost more than all the rest.
            return
        try:
            async with asyncio.timeout_at(deadline):
                await self._places.acquire()
                try:
                    await self._space()
                except asyncio.CancelledError:
                    self._places.release()
                    raise
        except TimeoutError:
            raise TimeoutError(
                f"no more requests could be made to {short_id(self.peer_key)} in time: "
                f"{self._config.max_calls} are under way, or it reads too slowly"
            ) from None

    async def _space(self) -> None:
        """Wait until the peer takes more, or the end of the session."""
        while self.is_open and not self._sender.has_space:
            await self._changed.wait()

    def _require_open(self) -> None:
        if not self.is_open:
            raise SessionClosed(self._closed_text())
        if not self._core.accepts_asks:
            raise SessionClosed(f"the session with {short_id(self.peer_key)} is closing and takes no more requests")

    def _closed_text(self) -> str:
        return f"the session with {short_id(self.peer_key)} at {self.remote} ended: {self.end_reason}"

    # --- Requests of the peer's

    async def _serve(self, call_id: steps.CallId, call: Call) -> None:
        """Run the handler and step the core with how it ended."""
        try:
            answer = await self._handler(call)
            await self._space()
            self._step(steps.Answer(call_id, answer))
        except Refusal as refusal:
            self._step(steps.Refuse(call_id, refusal.code, refusal.text))
        except Exception:
            # The edge: whatever is wrong in a handler must not end the session, let alone the node.
            log.exception("call.failed", peer=short_id(self.peer_key), message=type(call.body).__name__)
            self._step(steps.Refuse(call_id, "internal", "the request could not be handled: an error on this side"))

    def _call_ended(self, call_id: steps.CallId) -> None:
        # A callback, not the end of _serve: a task that is cancelled before its first step runs none of its code.
        self.used_at = self._loop.time()
        del self._handlers[call_id]
        self._step(steps.Abandon(call_id))

    # --- What comes

    def _received(self, frame: Frame) -> None:
        """Open a frame and do what it asks for; what is said to that leaves at once, in one frame."""
        if not self.is_open:
            return
        self._sender.hold()
        try:
            self._step(steps.Received(self._channel.open(frame)))
        except RemoteProtocolError as error:
            self.fault = error
            self._end(f"the peer broke the protocol: {error.text}", error.code)
        except Exception as error:  # noqa: BLE001
            # The edge: `run` raises it, and whoever holds the session reports it.
            self._error = error
            self._end("an error on this side", "")
        self._sender.flush()

    def _stream_ended(self, reason: str) -> None:
        self._end(reason, "")

    # --- The core and its effects

    def _step(self, event: steps.Input) -> None:
        if not self.is_open:
            return
        for effect in self._core.step(event, self._loop.time()):
            self._perform(effect)
        self._arm()

    def _perform(self, effect: steps.Effect) -> None:
        match effect:
            case steps.Send(encoded):
                self._sender.put(encoded)
            case steps.StartCall(call_id, body, deadline):
                assert self._group is not None, "only the reader, which runs in the group, starts calls"
                task = self._group.create_task(self._serve(call_id, Call(self, call_id, body, deadline)))
                self._handlers[call_id] = task
                task.add_done_callback(lambda _: self._call_ended(call_id))
            case steps.StopCall(call_id):
                self._handlers[call_id].cancel()
                self._changed.fire()
            case steps.CreditArrived():
                self._changed.fire()
            case steps.EventArrived(ask, body, charge_bytes):
                if ask in self._streams:
                    self._streams[ask].deliver(body, charge_bytes)
            case steps.Answered(ask, body):
                self._outcome(ask, body)
            case steps.Refused(ask, code, text):
                self._outcome(ask, RemoteRefused(code, text))
            case steps.TimedOut(ask):
                self._outcome(ask, TimeoutError(f"{short_id(self.peer_key)} did not answer in time"))
            case steps.NoticeArrived(body):
                self.used_at = self._loop.time()
                if self._on_notice is not None:
                    self._on_notice(self.peer_key, body)
            case steps.ProbeAnswered():
                if self._probes and not (answered := self._probes.popleft()).done():
                    answered.set_result(None)
            case steps.PeerLeaving(reason):
                log.info("session.peer_left", peer=short_id(self.peer_key), reason=reason)
            case steps.Closed(code, reason):
                self._end(reason, code)
            case _:
                assert_never(effect)

    def _outcome(self, ask: steps.AskId, outcome: AnyMessage | Exception) -> None:
        if ask in self._streams:
            self._streams[ask].end(outcome)

    def _end(self, reason: str, word: str) -> None:
        """The end, once: everybody who waits learns it at once. `word` is told to the peer, in clear."""
        if not self.is_open:
            return
        self.end_reason, self._close_word = reason, word
        self._ended.set()
        for stream in self._streams.values():
            stream.end(SessionClosed(self._closed_text()))
        for answered in self._probes:
            if not answered.done():
                answered.set_exception(SessionClosed(self._closed_text()))
        self._changed.fire()

    def _arm(self) -> None:
        """Have Tick come no later than the core's deadline; an earlier one is harmless and cheaper than re-arming."""
        deadline = self._core.deadline()
        if deadline < self._timer_at and self.is_open:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer_at = math.inf
        self._step(steps.Tick())
