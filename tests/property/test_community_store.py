"""What is stored of a state between two blocks is exactly what turns the one into the other."""

from hypothesis import given
from hypothesis import strategies as st

from node.ledger.chain.state import Name
from node.ledger.chain.trie import Trie

KEYS = st.binary(min_size=3, max_size=3)
MAPS = st.dictionaries(KEYS, st.integers(0, 3), max_size=12)


def trie_of(entries: dict[bytes, int], base: Trie[Name] | None = None) -> Trie[Name]:
    """The map of `entries`, made by changing `base`, so that what is alike is shared."""
    trie: Trie[Name] = base or Trie()
    for key, _ in list(trie.items()):
        if key not in entries:
            trie = trie.remove(key)
    for key, number in entries.items():
        value = Name(b"", number)
        if trie.get(key) != value:
            trie = trie.put(key, value)
    return trie


@given(MAPS, MAPS)
def test_the_changes_turn_one_map_into_the_other(before: dict[bytes, int], after: dict[bytes, int]) -> None:
    old = trie_of(before)
    for new in (trie_of(after, old), trie_of(after)):
        changes = new.changes(old)
        made = old
        for key, value in changes.items():
            made = made.remove(key) if value is None else made.put(key, value)
        assert made.root() == new.root()


@given(MAPS, KEYS, st.integers(4, 9))
def test_what_two_maps_share_is_no_change(before: dict[bytes, int], key: bytes, number: int) -> None:
    old = trie_of(before)
    assert list(old.put(key, Name(b"", number)).changes(old)) == [key]
    assert list(old.remove(key).changes(old)) == ([key] if key in before else [])
