"""A plan's budget, split over its steps so that what they spend never comes to more. Pure.

A step with a budget of its own has that much set aside. What is left is shared evenly by the others that have not
ended; what a step does not spend goes back to those that come after it.
"""

from collections.abc import Mapping

from node.errors import UsageError
from node.wording import usd


class Purse:
    """What is left to spend. At any moment, spent + held by running steps + set aside + free = the whole."""

    def __init__(self, total_micro: int, own_micro: Mapping[str, int | None]) -> None:
        """`own_micro`: the paid steps, and what each may spend where that is said; UsageError when it is too much."""
        self._aside = {name: own for name, own in own_micro.items() if own is not None}
        set_aside = sum(self._aside.values())
        if set_aside > total_micro:
            raise UsageError(
                f"the steps' own budgets come to {usd(set_aside)}, over the plan's {usd(total_micro)}: "
                "raise --budget or lower theirs"
            )
        self._total = total_micro
        self._free = total_micro - set_aside
        self._sharing = {name for name, own in own_micro.items() if own is None}
        self._held: dict[str, int] = {}
        self._spent = 0

    @property
    def spent_micro(self) -> int:
        """What has been spent, on failed attempts too."""
        return self._spent

    @property
    def is_whole(self) -> bool:
        """Whether nothing has got lost or been made."""
        return self._spent + sum(self._held.values()) + sum(self._aside.values()) + self._free == self._total

    def take(self, name: str) -> int:
        """What a step may spend now; held for it until `give_back`."""
        if name in self._aside:
            held = self._aside.pop(name)
        else:
            waiting = len(self._sharing - self._held.keys())
            held = max(0, self._free) // max(1, waiting)
            self._free -= held
        self._held[name] = held
        return held

    def give_back(self, name: str, spent_micro: int, *, is_over: bool) -> None:
        """A step ended, or an attempt at it: what it did not spend is there for its next attempt, or for all."""
        rest = self._held.pop(name) - spent_micro
        self._spent += spent_micro
        if is_over or name in self._sharing:
            self._free += rest
        else:
            self._aside[name] = rest
        if is_over:
            self._sharing.discard(name)
            self._free += self._aside.pop(name, 0)

    def skip(self, name: str) -> None:
        """A step will never run."""
        self._sharing.discard(name)
        self._free += self._aside.pop(name, 0)
