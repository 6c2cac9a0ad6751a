"""Who named whom in a look-up, and whose words count: an inventor of nodes would have us ask nobody else.

A node is charged for those that it was the first to name: one for each that is silent, less one for each that answers.
Who owes too much is not called a liar, for its contacts may have died; those whom only such nodes name wait until
nobody else is to be asked.
"""

from collections import Counter

MAX_DEBT = 2
"""Three slots may have asked three before the first is seen to be silent; no inventor has many more asked."""


class Namers:
    """Of one look-up. What we knew before was named by ourselves, who owe nothing."""

    def __init__(self, own_id: bytes) -> None:
        self._own_id = own_id
        self._by: dict[bytes, list[bytes]] = {}
        """Who named a node, first to last."""
        self._charges: dict[bytes, int] = {}
        """What each node comes to for whoever was the first to name it."""
        self._debts: Counter[bytes] = Counter()

    def add(self, peer: bytes, namer: bytes) -> None:
        """This node was named by that one."""
        self._by.setdefault(peer, []).append(namer)

    def charge(self, peer: bytes, silent: int) -> None:
        """This node is silent (1), or answered after all (-1)."""
        first = self._by[peer][0]
        if first != self._own_id:
            self._debts[first] += silent - self._charges.get(peer, 0)
            self._charges[peer] = silent

    def are_doubtful(self, peer: bytes) -> bool:
        """Whether everyone who named this node owes too much."""
        return all(self._debts[namer] >= MAX_DEBT for namer in self._by[peer])
