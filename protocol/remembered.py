"""Remembers what a pure function made of bytes that come from peers: bounded in number and in size."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Final, TypeVar

T = TypeVar("T")

REMEMBERED_BYTES: Final = 1024
"""What is larger is worked out each time. Of honest transactions those are motions with ten signatures; a stranger may
send any number of them, and 8,192 of the largest would fill 130 MB."""


def remembered(count: int) -> Callable[[Callable[[bytes], T]], Callable[[bytes], T]]:
    """Remember the results of the last `count` small arguments; what is raised is not remembered."""

    def decorated(function: Callable[[bytes], T]) -> Callable[[bytes], T]:
        kept = lru_cache(maxsize=count)(function)

        @wraps(function)
        def either(data: bytes) -> T:
            return kept(data) if len(data) <= REMEMBERED_BYTES else function(data)

        return either

    return decorated
