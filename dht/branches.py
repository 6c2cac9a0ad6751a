"""Who crowds whom out, by address: members in a tree of prefixes, and whose turn it is to go.

A flood comes from many addresses, but not from as many networks as honest publishers do. So room is made in the most
crowded branch of the tree: of the most crowded /8 the most crowded /16, of that the most crowded /24, and there the
youngest member goes. A flood replaces only itself.
"""

from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

IPV4_PREFIXES = (1, 2, 3)
IPV6_PREFIXES = (2, 4, 6, 7)
"""Leading bytes of an address group (dht/contacts.py) at which the tree branches: /8, /16, /24; /16, /32, /48, /56."""


def branch_path(group: str) -> tuple[str, ...]:
    """The branches of an address group (hexadecimal), largest first; those of IPv4 and IPv6 are never the same."""
    is_ipv4 = len(group) == 2 * IPV4_PREFIXES[-1]
    lengths, mark = (IPV4_PREFIXES, "4:") if is_ipv4 else (IPV6_PREFIXES, "6:")
    return tuple(mark + group[: 2 * length] for length in lengths)


class Branches(Generic[T]):
    """Members by address group, in the order in which they came."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._below: dict[str, dict[str, None]] = {}
        """Branches of a branch; of the whole tree, under an empty name."""
        self._members: dict[str, dict[T, None]] = {}

    def add(self, member: T, group: str) -> None:
        """Put a member in that is not there."""
        above = ""
        for branch in branch_path(group):
            self._counts[branch] += 1
            self._below.setdefault(above, {})[branch] = None
            above = branch
        self._members.setdefault(above, {})[member] = None

    def remove(self, member: T, group: str) -> None:
        """Take a member out that was added under this group."""
        path = branch_path(group)
        del self._members[path[-1]][member]
        for above, branch in reversed(list(zip(("", *path[:-1]), path, strict=True))):
            self._counts[branch] -= 1
            if not self._counts[branch]:
                del self._counts[branch], self._below[above][branch]
                self._members.pop(branch, None)
                self._below.pop(branch, None)

    def youngest_of_most_crowded(self) -> T | None:
        """Whose turn it is to go; None where no two members share a branch, so that nobody crowds anybody.

        Of equally crowded branches it is the youngest one's turn: who came first stays.
        """
        top = self._below.get("", {})
        if not any(self._counts[branch] > 1 for branch in top):
            return None
        above = ""
        while below := self._below.get(above):
            above = max(reversed(below), key=self._counts.__getitem__)
        return next(reversed(self._members[above]))
