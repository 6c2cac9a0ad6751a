"""How one payload becomes one frame: Noise messages of at most 65,535 bytes, one after the other.

    frame   = message*                  every message but the last is 65,535 bytes long
    message = AES-GCM(plaintext)        16 bytes longer than its plaintext
    the plaintexts joined = 4-byte big-endian length of the payload, then the payload

The length travels inside the first message, so that a frame cut at a message boundary is seen as cut.
"""

import struct
from typing import Final

from crypto.noise import MAX_MESSAGE_BYTES as MAX_NOISE_BYTES
from crypto.noise import TAG_BYTES
from protocol.errors import RemoteProtocolError
from protocol.packing import MAX_MESSAGE_BYTES

LENGTH: Final = struct.Struct(">I")
MAX_PLAIN_BYTES: Final = MAX_NOISE_BYTES - TAG_BYTES
"""What one Noise message can carry."""
FIRST_BYTES: Final = MAX_PLAIN_BYTES - LENGTH.size
"""What of the payload the first Noise message can carry."""


def frame_bytes(payload_bytes: int) -> int:
    """The size of the frame that carries a payload of this size."""
    plain = LENGTH.size + payload_bytes
    messages = -(-plain // MAX_PLAIN_BYTES)
    return plain + messages * TAG_BYTES


def payload_bytes(size: int, max_bytes: int = MAX_MESSAGE_BYTES) -> int:
    """The payload's size in a frame of `size` bytes; RemoteProtocolError when no frame has that size or it is too big.

    Known before anything is decrypted, so that nothing is done for a frame that is refused.
    """
    messages = 1 if size <= MAX_NOISE_BYTES else -(-size // MAX_NOISE_BYTES)
    payload = size - messages * TAG_BYTES - LENGTH.size
    if payload < 0 or (messages > 1 and frame_bytes(payload) != size):
        raise RemoteProtocolError("bad_frame", f"no frame is {size} bytes long: it was cut or padded")
    if payload > max_bytes:
        raise RemoteProtocolError("too_large", f"a payload of {payload} bytes is over the limit of {max_bytes}")
    return payload
