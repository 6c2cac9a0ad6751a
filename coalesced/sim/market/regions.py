"""Where clients and sellers are, and what distance does to moving a task's data."""

from typing import Final

import numpy as np

from coalesced.sim.market.parameters import OUTPUT_GB, Floats, Ints

REGIONS: Final = ("us-east", "us-west", "europe", "asia-east", "asia-south", "south-america")
RTT_MS: Final = np.array(
    [
        # Typical round trips between data centres of the large clouds; the diagonal is one region.
        [2, 65, 80, 170, 200, 120],
        [65, 2, 140, 110, 220, 175],
        [80, 140, 2, 220, 120, 190],
        [170, 110, 220, 2, 90, 270],
        [200, 220, 120, 90, 2, 310],
        [120, 175, 190, 270, 310, 2],
    ],
    dtype=np.float64,
)
RTT_MS.setflags(write=False)

LINE_BYTES_PER_S: Final = 125e6
"""The paper's 1 Gb/s."""
WINDOW_BYTES: Final = 6 * 2**20
"""Linux's default ceiling of a TCP receive buffer: a connection carries at most a window per round trip."""
ROUND_TRIPS: Final = 7
"""TCP 1, WebSocket upgrade 1, Noise XX 1.5, quote 1, award 1, result 1, rounded up."""
CIPHER_BYTES_PER_S: Final = 4.3e9
"""Sealing and opening 1 MiB messages with the node's own channel (protocol.channel), both ends, per CPU-second: median
of nine, 4.1 to 5.2, on an x86-64 with AES instructions in 2026-11. The paper assumes 2.3 % of the work."""


def wire_min(size_gb: Floats, client_region: Ints, seller_region: Ints) -> Floats:
    """Minutes that round trips, transfer and encryption add to a task; the arguments broadcast."""
    rtt_s = RTT_MS[client_region, seller_region] / 1000.0
    goodput = np.minimum(LINE_BYTES_PER_S, WINDOW_BYTES / rtt_s)
    sent_bytes = (size_gb + OUTPUT_GB) * 1e9
    seconds: Floats = ROUND_TRIPS * rtt_s + sent_bytes / goodput + sent_bytes / CIPHER_BYTES_PER_S
    return seconds / 60.0
