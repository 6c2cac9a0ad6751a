"""What a session sends: sealed, small envelopes together, no faster than the peer takes it."""

import asyncio
from collections.abc import Callable
from typing import Final

from node.net.config import NetConfig
from node.net.errors import StreamClosed
from node.net.outbox import Outbox
from node.net.signal import Signal
from node.net.transport import FrameStream
from protocol.channel import Channel
from protocol.errors import LocalProtocolError

CONTROL_BYTES: Final = 2**18
"""What replies that cannot wait (keep-alive, refusals, credit) may add to a full outbox before the session ends."""
FLUSH_S: Final = 1.0
"""How long the last words of a session may take."""


class Sender:
    """Encoded envelopes to frames on the stream.

    What is put in one turn of the event loop leaves together, at the end of that turn, or sooner with `flush`. While
    the peer is behind, it collects here; whoever can wait puts only while `has_space`.
    """

    def __init__(
        self,
        stream: FrameStream,
        channel: Channel,
        config: NetConfig,
        *,
        on_sent: Callable[[], None],
        on_broken: Callable[[str, str], None],
    ) -> None:
        """`on_sent`: there may be space again. `on_broken`: nothing can be sent any more, why, and the peer's word."""
        self._stream = stream
        self._channel = channel
        self._config = config
        self._on_sent = on_sent
        self._on_broken = on_broken
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(config.outbox_bytes)
        self._most_bytes = config.outbox_bytes + config.max_message_bytes + CONTROL_BYTES
        self._is_due = False  # a flush will come
        self._is_behind = False  # the peer
        self._is_broken = False
        self._changed = Signal()

    @property
    def has_space(self) -> bool:
        """Whether one more may be put by those who can wait."""
        return self._outbox.has_space

    def put(self, encoded: bytes) -> None:
        """Have it sent."""
        self._outbox.put(encoded)
        # Senders wait for space, replies cannot: without a limit, a peer that asks and never reads would fill memory.
        if self._outbox.size_bytes > self._most_bytes:
            self._break("the peer does not read what it asks for", "slow")
        elif not self._is_due:
            self._is_due = True
            self._loop.call_soon(self.flush)

    def hold(self) -> None:
        """Somebody is about to put, and then to flush."""
        self._is_due = True

    def flush(self) -> None:
        """Write what there is, until the peer is behind."""
        self._is_due = False
        outbox, had_space = self._outbox, self._outbox.has_space
        try:
            while outbox.size_bytes and not self._is_behind:
                self._is_behind = not self._stream.write(self._channel.seal(outbox.take_payload()))
        except (StreamClosed, LocalProtocolError) as error:
            self._break(str(error), "")
            return
        if self._is_behind:
            self._changed.fire()
        if not had_space:
            self._on_sent()

    async def run(self) -> None:
        """Go on whenever the peer has caught up, until nothing can be sent any more."""
        while not self._is_broken:
            if self._is_behind:
                await self._catch_up(self._config.send_timeout_s)
            else:
                await self._changed.wait()

    async def finish(self) -> None:
        """Send the last words, if the peer takes them soon; `run` must be over."""
        self.flush()
        try:
            async with asyncio.timeout(FLUSH_S):
                while self._is_behind and not self._is_broken:
                    await self._catch_up(FLUSH_S)
        except TimeoutError:
            pass

    async def _catch_up(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._stream.drain()
        except TimeoutError:
            self._break(f"the peer took no data for {limit_s:g} s", "slow")
        except StreamClosed as error:
            self._break(str(error), "")
        else:
            self._is_behind = False
            self.flush()

    def _break(self, reason: str, word: str) -> None:
        self._is_broken = True
        self._changed.fire()
        self._on_broken(reason, word)
