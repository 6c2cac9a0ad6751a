"""What probes may cost is set aside before they are ordered, and counts as spent until it is known what was paid."""

from crypto.identity import Identity
from node.store.blobs import RetentionConfig
from node.store.probes import DAY_MS, KEPT_DAYS, Ended
from node.store.spending import Caps
from node.store.store import Store

SELLER, OTHER = b"\x01" * 32, b"\x02" * 32
NOW_MS = 1_800_000_000_000


async def test_a_probe_counts_in_full_until_it_ends_and_not_at_all_when_it_was_never_ordered() -> None:
    store = await Store.open(None, Identity(b"\x05" * 32), caps=Caps(), retention=RetentionConfig())
    try:
        probes = store.probes
        for number, seller in enumerate((SELLER, SELLER, OTHER)):
            await probes.reserve(bytes([number]) * 16, seller, "risk", 100, NOW_MS)
        assert await probes.spent_micro(NOW_MS) == {SELLER: 200, OTHER: 100}
        await probes.end(bytes(16), b"t" * 16, Ended(paid_micro=7, quoted_micro=9, promised_ms=50))
        await probes.release(b"\x01" * 16)
        assert await probes.spent_micro(NOW_MS) == {SELLER: 7, OTHER: 100}
        await probes.release(bytes(16))
        assert (await probes.spent_micro(NOW_MS))[SELLER] == 7, "what was ordered stays"
        assert await probes.last_quotes("risk", [SELLER, OTHER]) == {SELLER: 9}
        assert await probes.tries("risk", NOW_MS - DAY_MS) == {SELLER: 1, OTHER: 1}
        assert await probes.spent_micro(NOW_MS + DAY_MS) == {}
        assert [one.seller for one in await probes.unproved(0)] == [SELLER]

        await probes.prove(bytes(16), "good", b"record", 60)
        (probe,) = await probes.of_skill("risk", 0)
        assert (probe.ending, probe.billed_micro, probe.took_ms, probe.record) == ("good", 7, 60, b"record")
        assert await probes.unproved(0) == []
        assert await probes.forget(NOW_MS + (KEPT_DAYS + 1) * DAY_MS) == 2
    finally:
        await store.close()
