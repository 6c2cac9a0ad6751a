"""The clear first words of every connection: which protocol versions and which network a side speaks.

    hello = "coalesce" ‖ oldest version (2) ‖ newest version (2) ‖ length of the name (1) ‖ network name

All numbers big-endian. This layout never changes, so that any two versions can tell each other why they cannot talk.
"""

import struct
from dataclasses import dataclass
from typing import Final

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.version import PROTOCOL_VERSION, check_network

MAGIC: Final = b"coalesce"
_HEAD: Final = struct.Struct(">8sHHB")


@dataclass(frozen=True, slots=True)
class Hello:
    """One side's protocol versions, inclusive, and its network."""

    network: str
    oldest: int = PROTOCOL_VERSION
    newest: int = PROTOCOL_VERSION

    def encode(self) -> bytes:
        """The bytes to send; LocalProtocolError when the network name is not usable."""
        network = check_network(self.network).encode()
        return _HEAD.pack(MAGIC, self.oldest, self.newest, len(network)) + network

    @property
    def versions(self) -> str:
        """The versions as a person reads them: "1" or "1 to 3"."""
        return str(self.newest) if self.oldest == self.newest else f"{self.oldest} to {self.newest}"


def decode_hello(frame: bytes) -> tuple[Hello, bytes, bytes]:
    """The hello at the start of `frame`, its exact bytes, and what follows; RemoteProtocolError when there is none."""
    if len(frame) < _HEAD.size or not frame.startswith(MAGIC):
        raise RemoteProtocolError("bad_hello", "the first frame is not the greeting of a coalesced node")
    _, oldest, newest, network_bytes = _HEAD.unpack_from(frame)
    end = _HEAD.size + network_bytes
    try:
        network = check_network(frame[_HEAD.size : end].decode("ascii"))
    except (LocalProtocolError, UnicodeDecodeError) as error:
        raise RemoteProtocolError("bad_hello", "the greeting holds no usable network name") from error
    if len(network) != network_bytes or oldest > newest:
        raise RemoteProtocolError("bad_hello", "the greeting is cut short or its versions are in the wrong order")
    return Hello(network, oldest, newest), frame[:end], frame[end:]


def check_hello(ours: Hello, theirs: Hello, peer: str) -> None:
    """RemoteProtocolError, naming both sides, when the two share no version or are on different networks."""
    if theirs.oldest > ours.newest or theirs.newest < ours.oldest:
        raise RemoteProtocolError(
            "wrong_version", f"{peer} speaks protocol {theirs.versions}, this node speaks {ours.versions}"
        )
    if theirs.network != ours.network:
        raise RemoteProtocolError(
            "wrong_network", f"{peer} is on the network {theirs.network!r}, this node is on {ours.network!r}"
        )
