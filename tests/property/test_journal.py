"""No sequence of entries but the written one passes under the signed head."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from node.ledger.journal import Chain, Entry, entry_hash, genesis, next_entry, note_record, sign_head
from tests.harness.jobs import CLIENT

OWNER = CLIENT.public_key
notes = st.lists(st.integers(0, 2**40), min_size=1, max_size=8)


def chain_of(values: list[int]) -> list[Entry]:
    entries: list[Entry] = []
    previous = genesis(OWNER)
    for height, value in enumerate(values, start=1):
        entries.append(next_entry(height, previous, value, "note", note_record({"n": value})))
        previous = entries[-1].hash
    return entries


@given(notes, st.data())
def test_only_the_written_sequence_passes(values: list[int], data: st.DataObject) -> None:
    entries = chain_of(values)
    head = sign_head(CLIENT, len(entries), entries[-1].hash)
    pool = st.sampled_from([*entries, *chain_of([*values, 1]), *chain_of([value + 1 for value in values])])
    other = data.draw(st.lists(pool, max_size=len(entries) + 1) | st.permutations(entries))
    chain = Chain(OWNER, head)
    chain.feed(other)
    broken = chain.finish()
    assert (broken is None) == (other == entries)
    if broken is not None:
        # An entry rewritten together with its hash is named where the chain first departs from what was signed.
        assert 1 <= broken.height <= len(entries) + 1


@given(notes, st.data())
def test_feeding_in_pages_is_feeding_at_once(values: list[int], data: st.DataObject) -> None:
    entries = chain_of(values)
    head = sign_head(CLIENT, len(entries), entries[-1].hash)
    cut = data.draw(st.integers(0, len(entries)))
    chain = Chain(OWNER, head)
    assert chain.feed(entries[:cut]) is None
    assert chain.feed(entries[cut:]) is None
    assert chain.finish() is None


@given(st.data())
def test_no_two_entries_hash_alike(data: st.DataObject) -> None:
    fields = st.tuples(
        st.integers(1, 3), st.sampled_from([b"\0" * 32, b"\1" * 32]), st.integers(0, 3), st.text("ab", max_size=2),
        st.binary(max_size=2),
    )  # fmt: skip
    first, second = data.draw(fields), data.draw(fields)
    assert (entry_hash(*first) == entry_hash(*second)) == (first == second)


def test_an_entry_kept_under_another_height_does_not_pass() -> None:
    (entry,) = chain_of([1])
    chain = Chain(OWNER, sign_head(CLIENT, 1, entry.hash))
    assert chain.feed([replace(entry, height=2)]) is not None
