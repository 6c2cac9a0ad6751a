"""Who hides sellers: what one source shows and another, which claims to show all, does not. Pure.

A registry says when it last looked in the DHT for a key. Whoever this node had seen published under that key well
before then, and still sees, should be among what the registry shows; where it is not, the registry hid it, or the
publisher showed itself to us and not to it. That is counted and said, and nobody is punished: the second cannot be told
from the first.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dht.records import MAX_CLOCK_SKEW_MS

GRACE_MS = MAX_CLOCK_SKEW_MS + 30_000
"""Two clocks that agree as far as the protocol asks, and the time that a publication takes to spread."""
MAX_SIGHTS = 8_192


class Sights:
    """Since when this node sees a publisher under a key, without a gap; bounded, the oldest look goes first."""

    def __init__(self) -> None:
        self._since: OrderedDict[tuple[bytes, bytes], int] = OrderedDict()

    def saw(self, key: bytes, publishers: Collection[bytes], now_unix_ms: int) -> None:
        """Note who is published under `key` now; who is not any more begins anew when it is again."""
        for pair in [pair for pair in self._since if pair[0] == key and pair[1] not in publishers]:
            del self._since[pair]
        for publisher in publishers:
            self._since.setdefault((key, publisher), now_unix_ms)
            self._since.move_to_end((key, publisher))
        while len(self._since) > MAX_SIGHTS:
            self._since.popitem(last=False)

    def since(self, key: bytes, publisher: bytes) -> int | None:
        """When it was first seen there; None for who was not."""
        return self._since.get((key, publisher))


def hidden(
    sights: Sights, key: bytes, fresh: Iterable[bytes], shown: Collection[bytes], looked_unix_ms: int
) -> frozenset[bytes]:
    """Of the `fresh` publishers, those that a source hides which shows `shown` as of `looked_unix_ms`."""
    due = looked_unix_ms - GRACE_MS
    return frozenset(
        publisher
        for publisher in fresh
        if publisher not in shown and (since := sights.since(key, publisher)) is not None and since <= due
    )


@dataclass(slots=True)
class Tally:
    """What became of asking one registry."""

    answers: int = 0
    failures: int = 0
    problem: str = ""
    """Why the last question failed; empty when it did not."""
    refused: int = 0
    """Records that it showed and that do not hold."""
    compared: int = 0
    """Records of the DHT that it ought to have shown."""
    hidden: int = 0
    """Of those, how many it did not."""
    last_hidden: bytes = b""
    """The publisher that it hid last."""
    kept: int = 0
    """Records of this node's that it keeps."""
