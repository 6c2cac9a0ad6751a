"""The settings of the network layer, each with the reason for its default."""

from typing import Annotated

import msgspec
from msgspec import Meta

from protocol.packing import MAX_MESSAGE_BYTES
from protocol.session import SessionLimits

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Count = Annotated[int, Meta(ge=1, le=100_000)]


class NetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this node meets its peers.

    - `connect_timeout_s` 5: a TCP connection across the world takes 0.3 s; two lost packets more, 3 s.
    - `handshake_timeout_s` 5: three frames and a millisecond of work; longer is a half-open flood.
    - `max_message_bytes` 2 MiB: the largest message is a 1 MiB part with its terms. An unknown party can make this node
      hold so much per connection, so the protocol's own limit, 16 MiB, is not the default.
    - `max_calls` 64, `max_call_bytes` 8 MiB: what one peer may have under way here; a task needs a few requests.
    - `event_window_bytes` 1 MiB: one part of a result in flight while another is consumed.
    - `outbox_bytes` 1 MiB: enough to keep a socket busy; senders wait beyond it.
    - `keep_alive_s` 20, `silence_s` 40: below the 60 s after which common proxies and NAT tables drop a connection.
    - `send_timeout_s` 20: a peer that takes no byte for so long is not reading.
    - `max_half_open` 64, `max_half_open_per_address` 16: handshakes at once, from all and from one address (IPv6: /64).
      Message 1 costs this node about 0.2 ms of work.
    - `max_inbound` 512, `max_inbound_per_address` 64: accepted connections; a test network on one machine fits.
    - `session_max_age_s` 3600: new keys at least hourly.
    - `drain_s` 5: how long a session that is closed may finish what is under way.
    - `probe_timeout_s` 5: how long a session may take to prove alive when another to the same peer has appeared.
    - `spare_close_s` 30: a second session to the same peer (both dialled, or it was renewed) goes when it has been
      unused for so long; closing it sooner would fail those who are between two requests on it.
    - `idle_close_s` 600: a session that nothing used for so long is closed; opening one costs about a millisecond.
    - `max_offences` 3, `block_s` 600: a peer that breaks the protocol so often is refused for so long. Honest nodes
      never do, and a software error on its side should not cost a peer more than ten minutes.
    - `max_failed_handshakes_per_address` 100: so many in `block_s`, and the address is refused for as long. Before its
      identity is proven, a peer has only its address to answer with, which honest ones may share (NAT). A failed
      handshake costs this node 0.2 ms of work, so one address gets 20 ms of it.
    """

    connect_timeout_s: Seconds = 5.0
    handshake_timeout_s: Seconds = 5.0
    max_message_bytes: Annotated[int, Meta(ge=2**17, le=MAX_MESSAGE_BYTES)] = 2 * 2**20
    max_calls: Count = 64
    max_call_bytes: Annotated[int, Meta(ge=2**20, le=2**30)] = 8 * 2**20
    event_window_bytes: Annotated[int, Meta(ge=4096, le=2**28)] = 2**20
    outbox_bytes: Annotated[int, Meta(ge=4096, le=2**28)] = 2**20
    keep_alive_s: Seconds = 20.0
    silence_s: Seconds = 40.0
    send_timeout_s: Seconds = 20.0
    max_half_open: Count = 64
    max_half_open_per_address: Count = 16
    max_inbound: Count = 512
    max_inbound_per_address: Count = 64
    session_max_age_s: Seconds = 3600.0
    drain_s: Seconds = 5.0
    probe_timeout_s: Seconds = 5.0
    spare_close_s: Seconds = 30.0
    idle_close_s: Seconds = 600.0
    max_offences: Count = 3
    block_s: Seconds = 600.0
    max_failed_handshakes_per_address: Count = 100

    @property
    def limits(self) -> SessionLimits:
        """The part that the session core needs."""
        return SessionLimits(
            max_calls=self.max_calls,
            max_call_bytes=self.max_call_bytes,
            max_message_bytes=self.max_message_bytes,
            keep_alive_s=self.keep_alive_s,
            silence_s=self.silence_s,
        )
