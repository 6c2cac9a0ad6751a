"""What this node itself has on its way to each seller: orders that its quotes may not reckon with yet.

A seller's quote counts what waits at the seller when it is given. Steps of a plan that are decided at the same moment
all get the quotes of an idle seller, and would all go there. Pure: times are the caller's clock, in seconds.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class _Order:
    seller: bytes
    run_s: float
    accepted_s: float | None = None
    """From then on, the seller's quotes reckon with it."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """How many orders a quote knows nothing of, and how long their work takes together."""

    count: int = 0
    run_s: float = 0.0


class OnTheWay:
    """One order a task: the one that it was decided for last."""

    def __init__(self) -> None:
        self._orders: dict[bytes, _Order] = {}

    def set_out(self, task_id: bytes, seller: bytes, run_s: float) -> None:
        """A task was decided for `seller`, which says that it takes so long."""
        self._orders[task_id] = _Order(seller, run_s)

    def accepted(self, task_id: bytes, seller: bytes, now_s: float) -> None:
        """The seller has begun, or lets it wait."""
        order = self._orders.get(task_id)
        if order is not None and order.seller == seller:
            order.accepted_s = now_s

    def ended(self, task_id: bytes) -> None:
        """It came to its end there, or never got there."""
        self._orders.pop(task_id, None)

    def ahead(self, seller: bytes, asked_s: float) -> Ahead:
        """What a quote that was asked for at that time knows nothing of."""
        unknown = [
            order.run_s
            for order in self._orders.values()
            if order.seller == seller and (order.accepted_s is None or order.accepted_s > asked_s)
        ]
        return Ahead(len(unknown), sum(unknown))
