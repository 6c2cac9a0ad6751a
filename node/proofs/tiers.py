"""The only thresholds that "at least X" is answered for.

Were any threshold answered, twenty questions would find a figure to the unit (bisection). Doublings say what a buyer
needs to know and leave the figure between a tier and its double.
"""

from typing import Final

from node.proofs.errors import ProofError

MAX_FIGURE: Final = 2**31 - 1
"""Of a certified figure: what a few hosts have together is still far below the order of the group that it is proved in,
so that no sum wraps around."""


def _doublings(first: int, last: int) -> tuple[int, ...]:
    return tuple(first << step for step in range((last // first).bit_length()))


_BY_NAME: Final = {
    "cpu_cores": _doublings(1, 512),
    "memory_gib": _doublings(1, 8192),
    "gpu_count": _doublings(1, 64),
    "gpu_memory_gib": _doublings(4, 2048),
    "disk_gib": _doublings(16, 65536),
}
_OTHERS: Final = _doublings(1, 2**20)


def tiers(name: str) -> tuple[int, ...]:
    """The thresholds of a resource, ascending: doublings, of 1 to 2^20 where its name is not a usual one."""
    return _BY_NAME.get(name, _OTHERS)


def check_tier(name: str, at_least: int) -> None:
    """ProofError unless `at_least` is one of the thresholds of `name`."""
    if at_least not in tiers(name):
        near = min(tiers(name), key=lambda tier: abs(tier - at_least))
        raise ProofError(
            "not_a_tier", f"{name} is shown for fixed thresholds only, so that none can be bisected: ask for {near}"
        )
