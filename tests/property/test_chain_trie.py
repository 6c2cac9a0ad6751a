"""The authenticated map against a plain dictionary: same content, same root, whatever happened on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.chain.state import Commitment
from node.ledger.chain.trie import EMPTY_ROOT, Step, Trie, encode_value, proved_root
from protocol.packing import pack

KEYS = st.binary(min_size=2, max_size=2)
LONG_KEYS = st.builds(lambda kind, end: bytes([kind, *bytes(4 * kind), end]), st.integers(0, 4), st.integers(0, 255))
"""As the chain's: those of a kind have one length and may differ late only."""
CHANGES = st.lists(st.tuples(KEYS, st.one_of(st.none(), st.integers(0, 3))), max_size=60)


def built(content: dict[bytes, int]) -> Trie[Commitment]:
    trie: Trie[Commitment] = Trie()
    for key, value in content.items():
        trie = trie.put(key, Commitment(value))
    return trie


@given(CHANGES)
def test_the_root_depends_on_the_content_alone(changes: list[tuple[bytes, int | None]]) -> None:
    trie: Trie[Commitment] = Trie()
    model: dict[bytes, int] = {}
    for key, value in changes:
        if value is None:
            model.pop(key, None)
            trie = trie.remove(key)
        else:
            model[key] = value
            trie = trie.put(key, Commitment(value))
    assert trie.root() == built(dict(sorted(model.items()))).root() == built(dict(reversed(model.items()))).root()
    assert [(key, entry.epoch) for key, entry in trie.items()] == sorted(model.items())
    assert (trie.root() == EMPTY_ROOT) is (not model)


@given(st.dictionaries(KEYS, st.integers(0, 3), max_size=30), KEYS, st.integers(0, 3))
def test_different_content_has_another_root(content: dict[bytes, int], key: bytes, value: int) -> None:
    changed = {**content, key: value}
    assert (built(changed).root() == built(content).root()) is (changed == content)


@given(CHANGES)
def test_a_change_leaves_what_it_began_with_as_it_was(changes: list[tuple[bytes, int | None]]) -> None:
    trie: Trie[Commitment] = Trie()
    kept: list[tuple[Trie[Commitment], list[tuple[bytes, Commitment]]]] = []
    for key, value in changes:
        kept.append((trie, list(trie.items())))
        trie = trie.remove(key) if value is None else trie.put(key, Commitment(value))
        trie.root()
    for before, items in kept:
        assert list(before.items()) == items
        assert before.root() == built({key: entry.epoch for key, entry in items}).root()


@given(st.dictionaries(KEYS, st.integers(0, 3), max_size=30), KEYS)
def test_what_is_there_is_proved_and_nothing_else(content: dict[bytes, int], key: bytes) -> None:
    trie = built(content)
    steps = trie.prove(key)
    assert (steps is None) is (key not in content)
    if steps is not None:
        value = encode_value(Commitment(content[key]))
        assert proved_root(key, value, steps) == trie.root()
        assert proved_root(key, encode_value(Commitment(9)), steps) != trie.root()
        assert proved_root(bytes([key[0] ^ 1, key[1]]), value, steps) != trie.root()
        assert proved_root(key, value, [*steps, (0, bytes(32))]) != trie.root()


@given(KEYS, st.binary(max_size=4), st.lists(st.tuples(st.integers(-1, 40), st.binary(min_size=31, max_size=33))))
def test_no_steps_of_any_shape_raise(key: bytes, value: bytes, steps: list[Step]) -> None:
    assert proved_root(key, value, steps) != bytes(32)


@given(st.dictionaries(KEYS, st.integers(0, 3), max_size=30), st.binary(max_size=2))
def test_a_prefix_selects_the_keys_that_begin_with_it(content: dict[bytes, int], prefix: bytes) -> None:
    found = [key for key, _ in built(content).items(prefix)]
    assert found == sorted(key for key in content if key.startswith(prefix))


@given(st.integers(0, 2**64 - 1))
def test_a_value_is_packed_as_everything_else_is(number: int) -> None:
    assert encode_value(Commitment(number)) == pack(Commitment(number))


@pytest.mark.parametrize("keys", [KEYS, LONG_KEYS], ids=["short", "long"])
@given(st.data())
def test_changes_made_together_come_to_the_same_as_one_by_one(
    keys: st.SearchStrategy[bytes], data: st.DataObject
) -> None:
    content = data.draw(st.dictionaries(keys, st.integers(0, 3), max_size=40))
    blocks = data.draw(st.lists(st.dictionaries(keys, st.none() | st.integers(0, 3), max_size=20), max_size=6))
    trie = built(content)
    for block in blocks:
        for key, value in block.items():
            if value is None:
                content.pop(key, None)
            else:
                content[key] = value
        earlier, root = trie, trie.root()
        trie = trie.update({key: None if value is None else Commitment(value) for key, value in block.items()})
        assert trie.root() == built(content).root()
        assert [(key, entry.epoch) for key, entry in trie.items()] == sorted(content.items())
        assert earlier.root() == root


@pytest.mark.parametrize("there", [{b"ab": 1}, {b"ab": 1, b"zz": 2}])
@pytest.mark.parametrize("key", [b"a", b"abc", b""])
def test_a_key_that_begins_another_is_refused_and_none_goes_for_its_sake(there: dict[bytes, int], key: bytes) -> None:
    trie = built(there)
    with pytest.raises(ValueError, match="beginning of the other"):
        trie.put(key, Commitment(1))
    assert trie.remove(key).root() == trie.root()
