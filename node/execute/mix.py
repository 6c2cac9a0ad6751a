"""The paper's mix of 240 tasks on the builtin skills: seeded, of many sizes, in random order (COALESCE V.I)."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from node.execute import corpus

COUNTS: Final[Mapping[str, int]] = {"document-analysis": 80, "risk": 60, "portfolio": 60, "sentiment": 40}
"""As the paper lists its real tasks."""
FACTOR: Final = 16.0
"""Between the largest and the smallest task of a type: sizes are log-uniform."""
_CASES: Final[Mapping[str, Callable[[int, float], corpus.Case]]] = {
    "document-analysis": lambda seed, size: corpus.analysis_case(seed, pages=max(2, round(30 * size)), questions=8),
    "portfolio": lambda seed, size: corpus.portfolio_case(seed, assets=max(20, round(300 * size**0.5)), points=30),
    "risk": lambda seed, size: corpus.risk_case(seed, paths=max(2_000, round(100_000 * size))),
    "sentiment": lambda seed, size: corpus.sentiment_case(seed, texts=max(2, round(60 * size))),
}


@dataclass(frozen=True, slots=True)
class MixedTask:
    """One task. `size` is in middle-sized tasks of its type, about equally long for all types."""

    label: str
    seed: int
    size: float

    def case(self) -> corpus.Case:
        """Its input; equal for equal tasks."""
        return _CASES[self.label](self.seed, self.size)


def mixed(seed: int, *, scale: float = 1.0, count: int = sum(COUNTS.values())) -> list[MixedTask]:
    """`count` tasks in the proportions of the 240, the middle one of size `scale`, in random order.

    ValueError unless `count` is a multiple of 12 and `scale` is above 0.
    """
    total = sum(COUNTS.values())
    if count < 12 or count % 12:
        raise ValueError(f"count is {count}: write a multiple of 12, so that the proportions 4:3:3:2 hold")
    if not scale > 0.0:
        raise ValueError(f"scale is {scale}: write a size above 0, as 1.0")
    chooser = random.Random(seed)
    tasks = [
        MixedTask(label, seed * 1_000 + number, scale * FACTOR ** chooser.uniform(-0.5, 0.5))
        for label, of_type in sorted(COUNTS.items())
        for number in range(of_type * count // total)
    ]
    chooser.shuffle(tasks)
    return tasks
