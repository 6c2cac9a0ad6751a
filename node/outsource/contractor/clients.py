"""What a contractor knows of its clients: who has paid for work here, and who took work and signed nothing for it.

Keys cost nothing, so a stranger says nothing by being new. What costs something is a receipt signed to be paid: whoever
has one here is known, and strangers, however many, share what they get.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

FORGIVEN_S: Final = 600.0
"""Work that was taken and not signed for is held against its client for so long."""
MAX_REMEMBERED: Final = 4096
"""Clients of either kind; the one that did nothing for longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One client at this moment: receipts that it has signed to be paid, and jobs that it took without signing."""

    receipts: int
    unsigned: int

    @property
    def is_known(self) -> bool:
        """Whether it has ever paid here."""
        return self.receipts > 0


class Clients:
    """Kept in memory; `remember` at the start who has paid before. `now_s` is the event loop's time."""

    def __init__(self) -> None:
        self._receipts: OrderedDict[bytes, int] = OrderedDict()
        self._unsigned: OrderedDict[bytes, dict[bytes, float]] = OrderedDict()

    def remember(self, receipts: Mapping[bytes, int]) -> None:
        """So many receipts these have signed in earlier lives of this node."""
        for client, count in receipts.items():
            self._count(client, count)

    def standing(self, client: bytes, now_s: float) -> Standing:
        """How a client stands."""
        jobs = self._unsigned.get(client, {})
        unsigned = sum(ended_s > now_s - FORGIVEN_S for ended_s in jobs.values())
        return Standing(self._receipts.get(client, 0), unsigned)

    def took(self, client: bytes, task_id: bytes, now_s: float) -> None:
        """Its job was done, or begun and left by it: a receipt is due."""
        jobs = self._unsigned.setdefault(client, {})
        self._unsigned.move_to_end(client)
        for old in [job for job, ended_s in jobs.items() if ended_s <= now_s - FORGIVEN_S]:
            del jobs[old]
        jobs[task_id] = now_s
        if len(self._unsigned) > MAX_REMEMBERED:
            self._unsigned.popitem(last=False)

    def signed(self, client: bytes, task_id: bytes, paid_micro: int) -> None:
        """The job has its receipt."""
        jobs = self._unsigned.get(client, {})
        jobs.pop(task_id, None)
        if not jobs:
            self._unsigned.pop(client, None)
        if paid_micro > 0:
            self._count(client, 1)

    def _count(self, client: bytes, more: int) -> None:
        self._receipts[client] = self._receipts.get(client, 0) + more
        self._receipts.move_to_end(client)
        if len(self._receipts) > MAX_REMEMBERED:
            self._receipts.popitem(last=False)
