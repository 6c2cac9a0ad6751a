"""The limits and times of one replica."""

from typing import Annotated

import msgspec
from msgspec import Meta

from protocol.consensus import MAX_BLOCK_BYTES, MAX_BLOCK_TXS, MAX_TX_BYTES

Millis = Annotated[int, Meta(ge=1, le=3_600_000)]


class PbftConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times are this replica's own business: members with different ones still agree, they only wait differently."""

    view_timeout_ms: Millis = 2_000
    """Without progress for so long, another primary is asked for; doubled each time that does not help. A block takes
    three one-way delays and three fsyncs: well under a second between continents."""
    max_doublings: Annotated[int, Meta(ge=0, le=16)] = 8
    """2 s become at most 512 s: a network that slow is down."""
    censorship_timeout_ms: Millis = 20_000
    """A transaction that waits so long while others are committed means a primary that leaves it out."""
    resend_ms: Millis = 700
    """What is still waited for is said again: a session may have broken. Longer than a block takes."""
    status_ms: Millis = 5_000
    """How often one says how far one is: what lets a replica that missed the last block notice."""
    sync_timeout_ms: Millis = 2_000
    """Whoever does not answer a request for blocks for so long is not asked next."""
    max_skew_ms: Millis = 15_000
    """A new block's time may differ so much from this clock: desktop clocks without NTP drift by seconds."""
    max_block_txs: Annotated[int, Meta(ge=1, le=MAX_BLOCK_TXS)] = 1024
    """Of own proposals: at two signatures a transaction, about 0.2 s to verify on one core."""
    max_block_bytes: Annotated[int, Meta(ge=MAX_TX_BYTES, le=MAX_BLOCK_BYTES)] = MAX_BLOCK_BYTES
    """Of own proposals."""
    pool_txs: Annotated[int, Meta(ge=1, le=10**6)] = 8192
    """Transactions that wait: about eight full blocks."""
    pool_bytes: Annotated[int, Meta(ge=MAX_TX_BYTES)] = 16 * 2**20
    pool_txs_per_sender: Annotated[int, Meta(ge=1, le=10**6)] = 2048
    """So that one sender cannot fill the pool."""
    early_messages_per_sender: Annotated[int, Meta(ge=1, le=1024)] = 16
    """Messages of the next height or a later view, kept until it is reached. One step behind, one gets about four."""
