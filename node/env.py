"""The injected impurities: wall clock, randomness, entropy, and a way off the event loop.

Everything else that a node does is a function of its inputs. The simulator replaces this value.
"""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Offload(Protocol):
    """Runs a blocking function without blocking the event loop."""

    def __call__(self, work: Callable[..., T], /, *args: Any) -> Awaitable[T]:
        """Await the result of `work(*args)`."""
        ...  # pragma: no cover


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Env:
    """One node's impurities. `rng` drives jitter and draws; `entropy(n)` gives n secret bytes."""

    unix_ms: Callable[[], int] = _unix_ms
    rng: random.Random = field(default_factory=random.SystemRandom)
    entropy: Callable[[int], bytes] = os.urandom
    offload: Offload = asyncio.to_thread
