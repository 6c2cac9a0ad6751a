"""Tokens: how many a task will read and write, what so many cost, and what is learnt from the counts that come back.

A vocabulary of its own for every model would have to be downloaded. Four bytes a token is about right for English in
most of them; each model's own ratio, and how much it usually writes, is learnt from the usage that it reports.
"""

import math
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from msgspec import Meta
from msgspec.structs import replace

from node.decision.checked import Checked, Count, Whole
from node.views import TokenRate

MILLION = 1_000_000
BYTES_PER_TOKEN = 4
"""Before anything was learnt; also what work units are counted by, which buyer and seller must agree on."""
PRIOR_TOKENS = 200.0
"""How many tokens the first guess of the ratio weighs: one short prompt corrects it by half."""
PRIOR_RUNS = 2.0
FIRST_WRITTEN_SHARE = 0.25
"""Of what a model may write, before it was seen: replies are mostly shorter than allowed."""
MEMORY_TOKENS = 200_000.0
MEMORY_RUNS = 100.0
"""Older runs fade, so that a model that is replaced behind the same name is learnt anew."""
FRAME_TOKENS = 1_024
"""What an endpoint may put around a prompt: its template, its own instructions."""
LEAST_BYTES_PER_TOKEN = 0.25
"""Rare scripts take up to four tokens for a character; a count above that is no count of this text."""


class Usage(NamedTuple):
    """Tokens read and written by one task."""

    read: int
    written: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """How a skill that a model does is charged, on both sides of its seller."""

    model: str
    """What is learnt about tokens is kept under this name."""
    max_written: int
    """Tokens that one reply may hold; 0 for what only reads."""
    price: TokenRate | None = None
    """What buyers are asked; None: by the seller's cost."""
    cost: TokenRate | None = None
    """What somebody else charges the seller; None: the work takes this machine's time."""
    figures: str = ""
    """The model's row in the table of models, for a first guess of its speed."""


class TokenBelief(Checked, frozen=True, kw_only=True):
    """What is known of one model's tokens. Sums with slow forgetting; serialises to JSON with msgspec."""

    runs: Whole = 0
    read_bytes: Annotated[float, Meta(ge=0, le=1e15)] = PRIOR_TOKENS * BYTES_PER_TOKEN
    read_tokens: Count = PRIOR_TOKENS
    written_tokens: Count = 0.0
    weight: Count = 0.0
    """Runs that `written_tokens` is the sum over, faded."""

    @property
    def bytes_per_token(self) -> float:
        """Of what is read."""
        return self.read_bytes / self.read_tokens


def worst_usage(tariff: Tariff, size_bytes: int) -> Usage:
    """What a task of so many bytes may read and write at most, where nobody counted: four bytes a token, as ever."""
    return Usage(max(1, -(-size_bytes // BYTES_PER_TOKEN)), tariff.max_written)


def work_units(tariff: Tariff, size_bytes: int) -> int:
    """Tokens that a task may move, counted the same by everybody: all it may write, and its length by the first guess.

    Counting what may be written keeps time proportional to units: a short prompt may have a long answer.
    """
    return tariff.max_written + max(1, -(-size_bytes // BYTES_PER_TOKEN))


def expected_usage(tariff: Tariff, belief: TokenBelief, units: int) -> Usage:
    """What a task of so many units will read and write, by what was learnt."""
    size_bytes = max(1, units - tariff.max_written) * BYTES_PER_TOKEN
    prior = FIRST_WRITTEN_SHARE * tariff.max_written
    written = (PRIOR_RUNS * prior + belief.written_tokens) / (PRIOR_RUNS + belief.weight)
    return Usage(math.ceil(size_bytes / belief.bytes_per_token), min(tariff.max_written, math.ceil(written)))


def observe_usage(belief: TokenBelief, size_bytes: int, usage: Usage) -> TokenBelief:
    """The belief after one more reported usage of an input of `size_bytes`."""
    keep = max(0.0, 1.0 - usage.read / MEMORY_TOKENS)
    fade = 1.0 - 1.0 / MEMORY_RUNS
    return replace(
        belief,
        runs=belief.runs + 1,
        read_bytes=keep * belief.read_bytes + size_bytes,
        read_tokens=keep * belief.read_tokens + usage.read,
        written_tokens=fade * belief.written_tokens + usage.written,
        weight=fade * belief.weight + 1.0,
    )


def doubt(usage: Usage, *, size_bytes: int, written_bytes: int, max_written: int) -> str:
    """Why a reported usage cannot be one of this task; empty when it can."""
    most_read = FRAME_TOKENS + math.ceil(size_bytes / LEAST_BYTES_PER_TOKEN)
    if not 0 < usage.read <= most_read:
        return f"{usage.read} tokens read cannot be of {size_bytes} bytes"
    least = 1 if written_bytes and max_written else 0
    if not least <= usage.written <= max_written + FRAME_TOKENS:
        return f"{usage.written} tokens written cannot be of {written_bytes} bytes, {max_written} tokens at most"
    return ""


def charge_micro(rate: TokenRate, usage: Usage) -> float:
    """What so many tokens cost at a rate, in micro-dollars."""
    return (rate.read_micro * usage.read + rate.written_micro * usage.written) / MILLION
