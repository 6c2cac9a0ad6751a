"""Signs that a market does not work: prices fixed, too few sellers, capacity held back, prices meant to drive out.

A screen is a reason to look, not a proof: each says what it saw and against which bound. Thresholds are such that on
honest synthetic markets the alarms are rare; the simulator measures the false alarms and what is found.
"""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from msgspec import Struct

CARTEL_TASKS: Final = 20
CARTEL_VARIATION: Final = 0.06
CARTEL_DISTANCE: Final = 1.0
"""Quotes that hardly vary, beside a winner that stands apart: cover bids (Abrantes-Metz et al. 2006, Imhof 2018)."""
LEAST_QUOTES: Final = 3
"""The distance needs two losing quotes to have a spread."""
CONCENTRATED_HHI: Final = 1_800.0
HHI_RISE: Final = 100.0
"""The merger guidelines' bounds (US DOJ & FTC 2023): highly concentrated, and a rise that matters."""
DOMINANT_SHARE: Final = 0.3
LEAST_OFFERS: Final = 30
HOARDING_P: Final = 0.01
ALIKE: Final = 3
"""Sellers that a price is held against, at most."""
LEAST_ALIKE: Final = 2
ALIKE_WITHIN: Final = 1.0
"""Promises are alike where time and failures together differ by a factor of e at most; a seller without two such others
is not judged."""
PREDATORY_RATIO: Final = 0.65
"""Sellers that promise the same have about the same costs: below .6 fewer of the simulator's predators are found, and
hardly fewer honest sellers accused."""
LEAST_FAILURE: Final = 0.01
"""Promises of fewer failures are all alike."""


K = TypeVar("K", bytes, int)


class Promise(NamedTuple):
    """What a quote promises beside its price."""

    duration_s: float
    """Above 0."""
    success: float


class Alarm(Struct, frozen=True, kw_only=True):
    """One screen's alarm."""

    screen: str
    text: str


def variation(quotes: Collection[float]) -> float:
    """Coefficient of variation of the quotes for one task: deviation over mean; infinite for fewer than two."""
    if len(quotes) < 2 or (mean := statistics.fmean(quotes)) <= 0.0:
        return math.inf
    return statistics.stdev(quotes) / mean


def relative_distance(quotes: Collection[float]) -> float:
    """From the lowest quote to the next, in deviations of the losing quotes; 0 for fewer than three quotes."""
    if len(quotes) < LEAST_QUOTES:
        return 0.0
    lowest, *losing = sorted(quotes)
    spread = statistics.stdev(losing)
    gap = losing[0] - lowest
    return gap / spread if spread > 0.0 else math.inf if gap > 0.0 else 0.0


def cartel(tasks: Sequence[Collection[float]]) -> Alarm | None:
    """Price fixing, from the quotes for each of the latest tasks of one skill; None below 20 usable tasks."""
    usable = [quotes for quotes in tasks if len(quotes) >= LEAST_QUOTES][-CARTEL_TASKS:]
    if len(usable) < CARTEL_TASKS:
        return None
    varies = statistics.median(map(variation, usable))
    apart = statistics.median(map(relative_distance, usable))
    if varies >= CARTEL_VARIATION or apart <= CARTEL_DISTANCE:
        return None
    return Alarm(
        screen="cartel",
        text=f"over {CARTEL_TASKS} tasks quotes vary by {varies:.1%} only (bound {CARTEL_VARIATION:.0%}) while the "
        f"lowest stands {apart:.2g} deviations apart: prices may be agreed",
    )


def hhi(awards: Mapping[str, float]) -> float:
    """Herfindahl-Hirschman index of the sellers' shares, 0 to 10,000; 0 when nothing was awarded."""
    total = math.fsum(awards.values())
    return math.fsum((100.0 * won / total) ** 2 for won in awards.values()) if total > 0.0 else 0.0


def concentration(before: Mapping[str, float], now: Mapping[str, float]) -> Alarm | None:
    """Too few sellers get the work: a concentrated market that became more so, or one seller above 30 %."""
    index, rise = hhi(now), hhi(now) - hhi(before)
    total = math.fsum(now.values())
    if total <= 0.0:
        return None
    if before and index > CONCENTRATED_HHI and rise > HHI_RISE:
        text = f"the concentration index is {index:.0f} (bound {CONCENTRATED_HHI:.0f}), up by {rise:.0f}"
        return Alarm(screen="concentration", text=text)
    name, most = max(now.items(), key=lambda item: item[1])
    if most / total > DOMINANT_SHARE:
        text = f"{name} has {most / total:.0%} of the awards (bound {DOMINANT_SHARE:.0%})"
        return Alarm(screen="share", text=text)
    return None


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """P(X <= successes) of a binomial; exact."""
    if chance <= 0.0:
        return 1.0
    if chance >= 1.0:
        return 1.0 if successes >= trials else 0.0
    log_p, log_q = math.log(chance), math.log1p(-chance)
    terms = (
        math.exp(
            math.lgamma(trials + 1)
            - math.lgamma(hits + 1)
            - math.lgamma(trials - hits + 1)
            + hits * log_p
            + (trials - hits) * log_q
        )
        for hits in range(successes + 1)
    )
    return min(1.0, math.fsum(terms))


def hoarding(accepted: int, offered: int, advertised: float) -> Alarm | None:
    """Capacity advertised and held back: far fewer acceptances than the advertised availability promises."""
    if not 0 <= accepted <= offered:
        raise ValueError(f"accepted is {accepted} of {offered} offered: write a count from 0 to those offered")
    if not 0.0 <= advertised <= 1.0:
        raise ValueError(f"advertised is {advertised!r}: write an availability from 0 to 1")
    if offered < LEAST_OFFERS or (chance := binomial_tail(accepted, offered, advertised)) >= HOARDING_P:
        return None
    return Alarm(
        screen="hoarding",
        text=f"accepted {accepted} of {offered} offers though it advertises {advertised:.0%} of its capacity as free "
        f"(chance {chance:.2g})",
    )


def alike(seller: int, duration_s: Sequence[float], success: Sequence[float]) -> list[int]:
    """The `ALIKE` sellers whose promises are most like one's, nearest first: by the logarithms of time and failure.

    What is promised costs what it costs: a cheap machine is compared with cheap machines. None where fewer than
    `LEAST_ALIKE` are near enough. Durations are above 0.
    """

    def place(one: int) -> tuple[float, float]:
        return math.log(duration_s[one]), math.log(max(LEAST_FAILURE, 1.0 - success[one]))

    time, failure = place(seller)
    others = (one for one in range(len(duration_s)) if one != seller)
    apart = sorted((abs(place(one)[0] - time) + abs(place(one)[1] - failure), one) for one in others)
    near = [one for distance, one in apart[:ALIKE] if distance <= ALIKE_WITHIN]
    return near if len(near) >= LEAST_ALIKE else []


def beside_alike(
    rounds: Sequence[Mapping[K, float]], promises: Sequence[Mapping[K, Promise]], seller: K
) -> tuple[list[float], list[float]]:
    """What `predation` compares: a seller's last quotes, latest first, and the median quote of those alike each time.

    `rounds` (prices) and `promises` are by task and seller, oldest first; who promised nothing is not compared.
    """
    own: list[float] = []
    others: list[float] = []
    for prices, promised in zip(reversed(rounds), reversed(promises), strict=True):
        if len(own) == CARTEL_TASKS:
            break
        keys = [key for key in prices if key in promised]
        if seller not in keys:
            continue
        near = alike(
            keys.index(seller), [promised[key].duration_s for key in keys], [promised[key].success for key in keys]
        )
        if near:
            own.append(prices[seller])
            others.append(statistics.median(prices[keys[one]] for one in near))
    return own, others


def predation(own: Sequence[float], others: Sequence[float], bound: float = PREDATORY_RATIO) -> Alarm | None:
    """Prices meant to drive out: one seller's quotes, task by task, against the median of those of `alike` sellers."""
    pairs = [(price, other) for price, other in zip(own, others, strict=True) if other > 0.0][-CARTEL_TASKS:]
    if len(pairs) < CARTEL_TASKS:
        return None
    ratio = statistics.median(price / other for price, other in pairs)
    if ratio >= bound:
        return None
    return Alarm(
        screen="predation",
        text=f"over {len(pairs)} tasks it asks {ratio:.0%} of what others ask that promise about the same "
        f"(bound {bound:.0%})",
    )
