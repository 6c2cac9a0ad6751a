"""Canaries: orders whose answer is known, sent among real ones, so that who fabricates is found out.

With a share c of canaries, a seller that fabricates a share f of its work, of which a canary finds a share d, is found
by each order with probability c f d: after n orders with 1 - (1 - c f d)^n, so that 19 times of 20

    n = ln(.05) / ln(1 - c f d)

orders are enough. A canary is an ordinary order: ids, price, escrow and receipt like any other's, an input of the size
of the real ones, sent a random time after one.
"""

import math
from collections.abc import Sequence
from hashlib import sha256
from hmac import digest
from typing import Final

SIZE_RATIO: Final = 2.0
"""A canary's input is at most so many times as large as the real order's, and at least the inverse of that."""
MEAN_DELAY_S: Final = 30.0
"""After a real order: within what one client's orders are apart from each other anyway."""


def orders_to_find(share: float, fabricated: float, detection: float, *, missed: float = 0.05) -> float:
    """After how many orders a fabricator is found but for a chance of `missed`; infinite where nothing finds it."""
    each = share * fabricated * detection
    if not 0.0 <= each <= 1.0 or not 0.0 < missed < 1.0:
        raise ValueError(f"shares are from 0 to 1, not {share!r}, {fabricated!r}, {detection!r}, {missed!r}")
    if each == 0.0:
        return math.inf
    return 1.0 if each == 1.0 else math.log(missed) / math.log1p(-each)


def is_followed(key: bytes, order: bytes, share: float) -> bool:
    """Whether this order is followed by a canary: drawn by a keyed hash, so that no seller foresees it."""
    drawn = int.from_bytes(digest(key, b"canary" + order, sha256)[:6], "big") / 2**48
    return drawn < share


def delay_s(key: bytes, order: bytes) -> float:
    """How long after the order its canary is sent: exponential, as the gaps between unrelated orders are."""
    drawn = int.from_bytes(digest(key, b"delay" + order, sha256)[:6], "big") / 2**48
    return -MEAN_DELAY_S * math.log1p(-drawn)


def like(size: int, sizes: Sequence[int]) -> int | None:
    """Which of `sizes` is nearest to a real order's input; None where each would stand out."""
    fit = [at for at, one in enumerate(sizes) if size <= SIZE_RATIO * one and one <= SIZE_RATIO * size]
    return min(fit, key=lambda at: abs(math.log(sizes[at] / size)), default=None)
