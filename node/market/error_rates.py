"""How often each market screen is wrong and right, as the simulator measured it (docs/reproduction.md, Market screens).

An alarm is shown beside its rates, so that nobody takes a reason to look for a proof. A test compares these figures
with the page: whoever changes a screen regenerates the page and writes down here what it says.
"""

from typing import Final, NamedTuple


class Rates(NamedTuple):
    """Of one screen, in percent."""

    false_alarms: float
    """Of honest sellers, or of windows of honest markets, that raise the alarm."""
    detected: float | None
    """Of those that do it; None where nothing was measured."""


RATES: Final[dict[str, Rates]] = {
    "cartel": Rates(0.0, 100.0),
    "ring": Rates(0.0, 99.5),
    "hoarding": Rates(0.4, 100.0),
    "predation": Rates(1.9, 78.3),
    "concentration": Rates(100.0, None),
    "share": Rates(100.0, None),
}
"""`concentration` and `share` speak of this node's own awards: one client that buys well buys from few."""
