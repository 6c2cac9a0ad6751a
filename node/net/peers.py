"""Sessions by peer: one is dialled once and used by all, inbound ones count too, old ones are replaced.

Two sessions to one peer can exist for a while: both sides dialled at once, one lost the old session and the other has
not noticed, or one was renewed. Both sides then choose alike: the session whose initiator has the lower key, and of
those the youngest. The others are probed, dropped if dead, and closed once they have been unused for a while.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from crypto.identity import Identity, short_id
from crypto.noise import KEY_BYTES, KeyPair
from node.net.config import NetConfig
from node.net.endpoint import Endpoint
from node.net.errors import DialError, SessionClosed, StreamClosed
from node.net.handshake import initiate, respond
from node.net.limits import Admission, Conduct
from node.net.session import Handler, OnNotice, Session
from node.net.transport import FrameStream, Transport
from protocol.channel import Channel, ReceiveBuffer
from protocol.errors import RemoteProtocolError
from protocol.handshake import Opening
from protocol.hello import Hello
from protocol.messages import LedgerBatch

UPKEEP_S: Final = 15.0
"""How often ages and idleness are looked at, unless a setting is shorter."""

log = structlog.get_logger(__name__)


class Peers:
    """Everybody this node has a session with. `start`, use, `stop`."""

    def __init__(
        self,
        identity: Identity,
        network: str,
        transport: Transport,
        handler: Handler,
        entropy: Callable[[int], bytes],
        config: NetConfig | None = None,
    ) -> None:
        """`handler` answers what peers ask; `entropy(n)` gives n secret random bytes (`Env.entropy`)."""
        self._identity = identity
        self._hello = Hello(network)
        self._transport = transport
        self._handler = handler
        self._entropy = entropy
        self._config = config or NetConfig()
        self._static = KeyPair(entropy(KEY_BYTES))  # one per process, in memory only
        self._buffer = ReceiveBuffer()
        self._admission = Admission(self._config)
        max_offences, block_s = self._config.max_offences, self._config.block_s
        max_failed = self._config.max_failed_handshakes_per_address
        self._conduct = Conduct[bytes](max_offences=max_offences, block_s=block_s)
        self._address_conduct = Conduct[str](max_offences=max_failed, block_s=block_s, remember_s=block_s)
        self._sessions: dict[bytes, list[Session]] = {}  # by peer key, oldest first
        self._dials: dict[tuple[bytes, Endpoint], asyncio.Task[Session | DialError]] = {}
        self._group = asyncio.TaskGroup()
        self._keeper: asyncio.Task[None] | None = None
        self._is_stopping = False
        self.on_notice: OnNotice | None = None
        """Who takes what peers say without waiting for an answer; while nobody does, it is dropped."""

    async def start(self, listen: Sequence[Endpoint]) -> list[Endpoint]:
        """Listen on these endpoints (none is allowed) and give the bound ones; ListenError when one is not free."""
        started = asyncio.Event()
        # The one task outside a group: it holds the group, so that start and stop may be called from different tasks.
        self._keeper = asyncio.get_running_loop().create_task(self._keep(started))
        await started.wait()
        return await self._transport.listen(listen, self._accept) if listen else []

    async def stop(self, reason: str = "the node is stopping") -> None:
        """Say goodbye to everybody, give what is under way `NetConfig.drain_s`, then close everything."""
        self._is_stopping = True
        if self._keeper is not None:
            await asyncio.gather(*(session.close(reason) for session in self.open_sessions()))
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        await self._transport.close()

    async def session(self, peer_key: bytes, endpoint: Endpoint) -> Session:
        """The session with this peer, dialled at `endpoint` if there is none; DialError says why there can be none.

        Ask again for every exchange instead of keeping the session: an old one is replaced by a younger one in time.
        """
        if self._is_stopping:
            raise DialError("this node is stopping: it opens no more sessions")
        if self.is_blocked(peer_key):
            raise DialError(f"{short_id(peer_key)} is blocked on this node; `peers unblock` lifts it")
        if chosen := self._chosen(peer_key):
            return chosen
        dial = self._start_dial(peer_key, endpoint)
        try:
            # Shielded: others may wait for the same dial.
            outcome = await asyncio.shield(dial)
        except asyncio.CancelledError:
            if dial.cancelled():
                raise DialError("this node is stopping: it opens no more sessions") from None
            raise
        if isinstance(outcome, DialError):
            raise DialError(str(outcome)) from outcome
        return outcome

    def _noticed(self, peer_key: bytes, body: LedgerBatch) -> None:
        if self.on_notice is not None:
            self.on_notice(peer_key, body)

    def open_session(self, peer_key: bytes) -> Session | None:
        """The session that this peer's next request would take, if there is one: nothing is dialled."""
        return self._chosen(peer_key)

    def open_sessions(self) -> list[Session]:
        """All sessions that are open, those included that are closing."""
        return [session for sessions in self._sessions.values() for session in sessions if session.is_open]

    def offences(self, peer_key: bytes) -> int:
        """How often this peer has broken the protocol since it was last blocked."""
        return self._conduct.offences(peer_key)

    def charge(self, peer_key: bytes, code: str) -> None:
        """Count an offence that showed only after the message had been taken; at the limit the peer is blocked."""
        count = self._conduct.offended(peer_key, _now())
        log.warning("peer.offended", peer=short_id(peer_key), code=code, offences=count)
        if self.is_blocked(peer_key):
            for session in self._sessions.get(peer_key, []):
                session.abort("blocked")

    def block(self, peer_key: bytes, duration_s: float) -> None:
        """Refuse this peer from now on, and end what is open with it."""
        self._conduct.block(peer_key, _now() + duration_s)
        for session in self._sessions.get(peer_key, []):
            session.abort("blocked")

    def pass_on(self, peer_key: bytes, successor: bytes) -> None:
        """Hold a peer's offences, and a block that they led to, against the key that it goes by now."""
        if self._conduct.pass_on(peer_key, successor, _now()):
            log.warning("peer.blocked", peer=short_id(successor), reason="it succeeds a key that is blocked")
            for session in self._sessions.get(successor, []):
                session.abort("blocked")

    def unblock(self, peer_key: bytes) -> None:
        """Accept this peer again."""
        self._conduct.unblock(peer_key)

    def is_blocked(self, peer_key: bytes) -> bool:
        """Whether this peer is refused now."""
        return self._conduct.is_blocked(peer_key, _now())

    def blocked(self) -> list[bytes]:
        """The keys of all peers that are refused now."""
        return self._conduct.blocked(_now())

    # --- Opening

    def _opening(self, peer: str) -> Opening:
        return Opening(
            identity=self._identity,
            static=self._static,
            ephemeral=KeyPair(self._entropy(KEY_BYTES)),
            hello=self._hello,
            peer=peer,
            max_payload_bytes=self._config.max_message_bytes,
            buffer=self._buffer,
        )

    def _start_dial(self, peer_key: bytes, endpoint: Endpoint) -> asyncio.Task[Session | DialError]:
        """The dial to this peer there, a running one if there is one."""
        key = peer_key, endpoint
        if key not in self._dials:
            self._dials[key] = self._group.create_task(self._dial(peer_key, endpoint))
            self._dials[key].add_done_callback(lambda _: self._dials.pop(key))
        return self._dials[key]

    async def _dial(self, peer_key: bytes, endpoint: Endpoint) -> Session | DialError:
        """The outcome as a value: an exception would end the group, and with it every session."""
        connect_s, handshake_s = self._config.connect_timeout_s, self._config.handshake_timeout_s
        try:
            async with asyncio.timeout(connect_s):
                stream = await self._transport.dial(endpoint)
        except TimeoutError:
            return DialError(f"{endpoint} did not accept a connection within {connect_s:g} s")
        except DialError as error:
            return error
        try:
            async with asyncio.timeout(handshake_s):
                channel = await initiate(stream, self._opening(f"peer at {endpoint}"), peer_key)
        except TimeoutError:
            failure = DialError(f"peer at {endpoint} did not finish the handshake within {handshake_s:g} s")
        except RemoteProtocolError as error:
            failure = DialError(error.text)
        except StreamClosed as error:
            failure = DialError(f"peer at {endpoint} ended the handshake: {error}")
        else:
            session = self._register(stream, channel, is_initiator=True)
            self._group.create_task(self._hold(session))
            return session
        log.info("dial.failed", peer=short_id(peer_key), endpoint=str(endpoint), reason=str(failure))
        await stream.close()
        return failure

    def _accept(self, stream: FrameStream) -> None:
        if self._is_stopping:
            return  # The transport closes it with everything else.
        if self._address_conduct.is_blocked(stream.remote.address_group, _now()):
            log.info("connection.refused", remote=str(stream.remote), reason="blocked for failed handshakes")
            self._group.create_task(stream.close("blocked"))
            return
        if refusal := self._admission.refusal(stream.remote):
            log.warning("connection.refused", remote=str(stream.remote), reason=refusal)
            self._group.create_task(stream.close("busy"))
            return
        self._admission.connected(stream.remote)
        self._group.create_task(self._admit(stream))

    async def _admit(self, stream: FrameStream) -> None:
        """An inbound connection's whole life."""
        remote, handshake_s = stream.remote, self._config.handshake_timeout_s
        try:
            try:
                async with asyncio.timeout(handshake_s):
                    channel = await respond(stream, self._opening(f"peer at {remote}"))
            finally:
                self._admission.handshake_ended(remote)
            if self.is_blocked(channel.peer_key):
                log.info("connection.refused", remote=str(remote), reason="blocked", peer=short_id(channel.peer_key))
                await stream.close("blocked")
            else:
                await self._hold(self._register(stream, channel, is_initiator=False))
        except (RemoteProtocolError, StreamClosed, TimeoutError) as error:
            reason = str(error) or f"no handshake within {handshake_s:g} s"
            count = self._address_conduct.offended(remote.address_group, _now())
            log.info("handshake.failed", remote=str(remote), reason=reason, failures=count)
            await stream.close("handshake")
        finally:
            self._admission.disconnected(remote)

    def _register(self, stream: FrameStream, channel: Channel, *, is_initiator: bool) -> Session:
        session = Session(
            stream, channel, self._handler, self._config, is_initiator=is_initiator, on_notice=self._noticed
        )
        log.info("session.opened", peer=short_id(session.peer_key), remote=str(session.remote), dialled=is_initiator)
        others = self._sessions.setdefault(session.peer_key, [])
        for other in others:
            self._group.create_task(_drop_if_dead(other, self._config.probe_timeout_s))
        others.append(session)
        return session

    async def _hold(self, session: Session) -> None:
        """Run the session to its end; then count what the peer broke."""
        peer_key = session.peer_key
        try:
            await session.run()
        except Exception:
            # The edge: an error of ours in one session must not end the others.
            log.exception("session.failed", peer=short_id(peer_key))
        finally:
            others = self._sessions[peer_key]
            others.remove(session)
            if not others:
                del self._sessions[peer_key]
        log.info("session.closed", peer=short_id(peer_key), reason=session.end_reason)
        if session.fault is not None:
            self.charge(peer_key, session.fault.code)

    # --- Choosing and replacing

    def _chosen(self, peer_key: bytes) -> Session | None:
        """The session that new requests take; both sides choose the same one."""
        usable = [session for session in self._sessions.get(peer_key, []) if session.accepts_requests]
        we_are_lower = self._identity.public_key < peer_key
        preferred = [session for session in usable if session.is_initiator == we_are_lower]
        candidates = preferred or usable
        return candidates[-1] if candidates else None

    async def _keep(self, started: asyncio.Event) -> None:
        config = self._config
        interval_s = min(UPKEEP_S, config.session_max_age_s / 4, config.idle_close_s / 4, config.spare_close_s / 4)
        async with self._group:
            started.set()
            while True:
                await asyncio.sleep(interval_s)
                for peer_key in list(self._sessions):
                    self._look_after(peer_key)

    def _look_after(self, peer_key: bytes) -> None:
        """Close what is not used, and replace what is old."""
        config, now = self._config, _now()
        chosen = self._chosen(peer_key)
        for session in self._sessions[peer_key]:
            if not session.accepts_requests:
                continue
            unused_s = now - session.used_at if session.is_idle else 0.0
            age_s = now - session.opened_at
            if session is not chosen and unused_s >= config.spare_close_s:
                self._group.create_task(session.close("another session is in use"))
            elif unused_s >= config.idle_close_s:
                self._group.create_task(session.close("unused"))
            elif session is chosen and session.is_initiator and age_s >= config.session_max_age_s:
                self._start_dial(peer_key, session.remote)
            elif not session.is_initiator and age_s >= 2 * config.session_max_age_s:
                # Renewing is the initiator's part, since it knows the address; this one did not.
                self._group.create_task(session.close("too old", drain_s=config.session_max_age_s))


async def _drop_if_dead(session: Session, timeout_s: float) -> None:
    try:
        await session.probe(timeout_s)
    except TimeoutError:
        session.abort("the peer has opened another session and does not answer on this one")
    except SessionClosed:
        pass


def _now() -> float:
    return asyncio.get_running_loop().time()
