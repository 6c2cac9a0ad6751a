"""Earnings: counted by day and skill, and never lost with the tasks."""

from crypto.identity import Identity
from node.store.blobs import RetentionConfig
from node.store.earnings import Earned
from node.store.spending import DAY_MS, Caps
from node.store.store import Store


async def test_earnings_add_up_by_skill_and_by_day() -> None:
    store = await Store.open(None, Identity(bytes(32)), caps=Caps(), retention=RetentionConfig())
    try:
        assert await store.earnings.by_skill() == {}
        await store.earnings.post("risk", 30, DAY_MS)
        await store.earnings.post("risk", 12, 2 * DAY_MS)
        await store.earnings.post("sentiment", 0, 2 * DAY_MS + 1)
        assert await store.earnings.by_skill() == {"risk": Earned(2, 42), "sentiment": Earned(1, 0)}
        assert await store.earnings.on_day(2 * DAY_MS + 5) == Earned(2, 12)
        assert await store.earnings.on_day(9 * DAY_MS) == Earned(0, 0)
    finally:
        await store.close()
