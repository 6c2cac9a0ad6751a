"""How many members are enough, and who they are."""

from collections.abc import Iterable
from dataclasses import dataclass

from protocol.consensus import MAX_MEMBERS, members_hash
from protocol.errors import LocalProtocolError


def tolerated(n: int) -> int:
    """f: how many of `n` members may lie (Castro & Liskov 1999, 3: n >= 3f + 1)."""
    return (n - 1) // 3


def quorum(n: int) -> int:
    """q: any two sets of q members share an honest one.

    For n = 3f + 1 this is the paper's 2f + 1; that number itself forks at n = 6, where two sets of 3 need not meet.
    """
    return (n + tolerated(n)) // 2 + 1


@dataclass(frozen=True, slots=True)
class Committee:
    """The members who vote on one height, in the order in which they are primaries."""

    members: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if why := unusable(self.members):
            raise LocalProtocolError(why)

    def __contains__(self, key: bytes) -> bool:
        return key in self.members

    @property
    def f(self) -> int:
        """How many members may lie."""
        return tolerated(len(self.members))

    @property
    def q(self) -> int:
        """How many members decide."""
        return quorum(len(self.members))

    @property
    def hash(self) -> bytes:
        """How a header names this committee."""
        return members_hash(self.members)

    def primary(self, view: int) -> bytes:
        """Who proposes in `view`."""
        return self.members[view % len(self.members)]

    def count(self, keys: Iterable[bytes]) -> int:
        """How many different members are among `keys`."""
        return len(set(keys) & set(self.members))

    def has_quorum(self, keys: Iterable[bytes]) -> bool:
        """Whether q different members are among `keys`."""
        return self.count(keys) >= self.q


def unusable(members: tuple[bytes, ...]) -> str | None:
    """Why these keys are no committee; None when they are one."""
    if not 1 <= len(members) <= MAX_MEMBERS:
        return f"a committee of {len(members)} members: it has 1 to {MAX_MEMBERS}"
    if len(set(members)) != len(members) or any(len(key) != 32 for key in members):
        return "a committee's members are different keys of 32 bytes"
    return None


def change_refused(old: Committee, members: tuple[bytes, ...]) -> str | None:
    """Why `members` may not follow `old` after one block; None when they may.

    At most max(1, f) members come and as many go: a key that takes over from another is one of each.
    """
    if why := unusable(members):
        return why
    come, go = set(members) - set(old.members), set(old.members) - set(members)
    limit = max(1, old.f)
    if max(len(come), len(go)) > limit:
        return f"{len(come)} members come and {len(go)} go in one block: at most {limit} of each"
    return None
