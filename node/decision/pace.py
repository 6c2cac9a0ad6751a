"""How much slower than usual this machine is just now: what the runs of all types of task tell of each other.

Other work on the machine slows all of them alike, for a while. A type's own regression (`calibrate`) cannot tell that
from the size of its tasks, and would follow it too slowly. So what is common to the last runs is kept apart:

    ln(seconds) = a + b ln(work units) + pace + noise        pace: the same for all types, drifting back to 0

A run moves the pace by a fifth of what it was off by, so about the last five count. On the 240 real tasks this took
the mean error of the time on the wall from 36 to 30 % on two cores with eleven processes waiting, from 26 to 22 % with
five, and that of processor time from 16 to 13 %; gains of .1 to .3 differ by one point.
"""

import math
from typing import NamedTuple

from node.decision.checked import number

GAIN = 0.2
KEEP = 0.9
"""Of the pace, at each run: what lasts is learnt by the types themselves."""
FADE_S = 300.0
"""After five minutes without a run, a third of it is left."""
MOST = 1.0
"""Of a single run's surprise: a factor of 2.7, however long the machine slept."""


class Pace(NamedTuple):
    """The last runs' common surprise, as a natural logarithm: above 0 the machine is slow."""

    surprise: float = 0.0
    unix_s: float = 0.0


USUAL = Pace()


def slowness(pace: Pace, now_unix_s: float) -> float:
    """What predicted times are multiplied by."""
    return math.exp(pace.surprise * _left(pace, now_unix_s))


def after_run(pace: Pace, usual_s: float, measured_s: float, now_unix_s: float) -> Pace:
    """The pace after a run that by its size and type would usually have taken `usual_s`, above 0."""
    before = KEEP * pace.surprise * _left(pace, now_unix_s)
    off = math.log(max(1e-9, number("measured_s", measured_s, 0, 1e9)) / number("usual_s", usual_s, 1e-9, 1e9)) - before
    return Pace(before + GAIN * max(-MOST, min(MOST, off)), now_unix_s)


def _left(pace: Pace, now_unix_s: float) -> float:
    return math.exp(-max(0.0, now_unix_s - pace.unix_s) / FADE_S)
