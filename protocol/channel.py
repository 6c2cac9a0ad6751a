"""An open channel: payloads to sealed frames and back, in strict order, with regular rekeying. Sans-IO.

The order is the counter of the cipher: a frame that is replayed, reordered, reflected or altered, or that follows a
dropped one, does not open. After any error the channel is of no further use; whoever holds it closes the connection.
"""

from typing import Final

from crypto.noise import MAX_MESSAGE_BYTES as MAX_NOISE_BYTES
from crypto.noise import TAG_BYTES, CipherState, NoiseError, NonceExhaustedError
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.framing import FIRST_BYTES, LENGTH, MAX_PLAIN_BYTES, frame_bytes, payload_bytes
from protocol.packing import MAX_MESSAGE_BYTES

REKEY_MESSAGES: Final = 2**16
"""Both sides replace a direction's key after this many Noise messages in it: what leaks later does not open earlier."""
KEPT_BUFFER_BYTES: Final = 2**20 + 2**17
"""A receive buffer up to this size is kept for the next frame: one part of a large result and its envelope."""
SMALL_BYTES: Final = 2**13
"""Up to this size a frame is opened into memory of its own."""


class ReceiveBuffer:
    """Memory that decrypted payloads are written to, shared by all channels of one thread.

    Fresh memory for every large frame costs more than decrypting it. A view is good until the next frame is opened.
    """

    __slots__ = ("_memory",)

    def __init__(self) -> None:
        self._memory = bytearray()

    def view(self, size: int) -> memoryview:
        """`size` writable bytes."""
        if size > KEPT_BUFFER_BYTES:
            return memoryview(bytearray(size))
        if size > len(self._memory):
            # A new one, not a resize: an older view may still be alive, and resizing under it is an error.
            self._memory = bytearray(min(KEPT_BUFFER_BYTES, 2 * size))
        return memoryview(self._memory)[:size]


class Channel:
    """Both directions of a session's encryption, and who the peer is."""

    __slots__ = ("_buffer", "_receive", "_send", "handshake_hash", "max_payload_bytes", "peer_key")

    def __init__(
        self,
        send: CipherState,
        receive: CipherState,
        *,
        peer_key: bytes,
        handshake_hash: bytes,
        max_payload_bytes: int = MAX_MESSAGE_BYTES,
        buffer: ReceiveBuffer | None = None,
    ) -> None:
        self._send = send
        self._receive = receive
        self._buffer = buffer or ReceiveBuffer()
        self.peer_key = peer_key
        self.handshake_hash = handshake_hash
        self.max_payload_bytes = max_payload_bytes

    def seal(self, payload: bytes) -> bytes | bytearray:
        """The frame that carries `payload`; LocalProtocolError when it is over the limit, or no nonce is left.

        The result is fresh memory, never written again: the transport may hold on to it.
        """
        size = len(payload)
        if size > self.max_payload_bytes:
            raise LocalProtocolError(f"a payload of {size} bytes is over the limit of {self.max_payload_bytes}")
        cipher = self._send
        try:
            if size > FIRST_BYTES:
                return self._seal_large(memoryview(payload))
            sealed = cipher.encrypt(LENGTH.pack(size) + payload)
            if cipher.nonce % REKEY_MESSAGES == 0:
                cipher.rekey()
            return sealed
        except NonceExhaustedError as error:
            raise LocalProtocolError(str(error)) from error

    def _seal_large(self, payload: memoryview) -> bytearray:
        """Several Noise messages, each written straight into its place."""
        cipher, frame = self._send, bytearray(frame_bytes(len(payload)))
        out = memoryview(frame)
        plain: bytes | memoryview = LENGTH.pack(len(payload)) + payload[:FIRST_BYTES]
        rest = payload[FIRST_BYTES:]
        while plain:
            cipher.encrypt_into(plain, out[:MAX_NOISE_BYTES])
            if cipher.nonce % REKEY_MESSAGES == 0:
                cipher.rekey()
            out, plain, rest = out[MAX_NOISE_BYTES:], rest[:MAX_PLAIN_BYTES], rest[MAX_PLAIN_BYTES:]
        return frame

    def open(self, frame: bytes | bytearray | memoryview) -> memoryview:
        """The payload in `frame`, good until the next `open`; RemoteProtocolError when it is not the next frame."""
        size, cipher = payload_bytes(len(frame), self.max_payload_bytes), self._receive
        try:
            if size > SMALL_BYTES:
                plain = self._open_large(frame, size)
            else:
                # Fresh memory for one small Noise message costs less than a view of the buffer.
                plain = memoryview(cipher.decrypt(frame))
                if cipher.nonce % REKEY_MESSAGES == 0:
                    cipher.rekey()
        except NoiseError as error:
            raise RemoteProtocolError(
                "bad_frame", f"a frame does not open: altered, replayed, or not the next one ({error})"
            ) from error
        (claimed,) = LENGTH.unpack_from(plain)
        if claimed != size:
            raise RemoteProtocolError("bad_frame", f"a frame of {claimed} bytes arrived with {size}: it was cut")
        return plain[LENGTH.size :]

    def _open_large(self, frame: bytes | bytearray | memoryview, size: int) -> memoryview:
        """Each Noise message straight into its place in the buffer."""
        cipher, plain = self._receive, self._buffer.view(LENGTH.size + size)
        rest, out = memoryview(frame), plain
        while rest:
            message = rest[:MAX_NOISE_BYTES]
            cipher.decrypt_into(message, out[: len(message) - TAG_BYTES])
            if cipher.nonce % REKEY_MESSAGES == 0:
                cipher.rekey()
            rest, out = rest[MAX_NOISE_BYTES:], out[MAX_PLAIN_BYTES:]
        return plain
