"""What is remembered of peers' bytes has a bound in bytes too."""

import os
import tracemalloc

from protocol.remembered import REMEMBERED_BYTES, remembered
from protocol.transactions import REMEMBERED, transaction_id


def test_small_arguments_are_worked_out_once_and_large_ones_each_time() -> None:
    asked = list[int]()

    @remembered(2)
    def size_of(data: bytes) -> int:
        """How long."""
        asked.append(len(data))
        return len(data)

    for _ in range(2):
        for length in (1, REMEMBERED_BYTES, REMEMBERED_BYTES + 1):
            assert size_of(bytes(length)) == length
    assert asked == [1, REMEMBERED_BYTES, REMEMBERED_BYTES + 1, REMEMBERED_BYTES + 1]
    assert size_of.__doc__ == "How long."


def test_a_stranger_cannot_fill_the_memory_with_large_transactions() -> None:
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(REMEMBERED // 8):
        transaction_id(os.urandom(16_384))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 2**20, "16 MiB were asked about"
