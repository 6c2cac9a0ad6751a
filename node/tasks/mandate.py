"""What one running task may spend on tasks of its own, shared by all that it has under way at once. Pure."""


class Mandate:
    """At any moment, spent + held by tasks under way + left = the budget; only a child over its share makes it more."""

    def __init__(self, budget_micro: int) -> None:
        self._left_micro = budget_micro
        self.spent_micro = 0
        """By those that have ended, however they did."""

    @property
    def left_micro(self) -> int:
        """What the next one may be given."""
        return max(0, self._left_micro)

    def take(self, wanted_micro: int) -> int:
        """Set aside what one task may spend: as much as is wanted, at most what is left."""
        held_micro = min(wanted_micro, self.left_micro)
        self._left_micro -= held_micro
        return held_micro

    def give_back(self, held_micro: int, spent_micro: int) -> None:
        """That task has ended: what it did not spend is there for others."""
        self.spent_micro += spent_micro
        self._left_micro += held_micro - spent_micro
