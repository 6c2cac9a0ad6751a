"""How far a market maker's words are believed: by what came of them.

The odds that a maker's words mean something begin at what its owner or the network gave it, and every job that this
node then has with a seller that the maker spoke of multiplies them by

    (how probable the maker's counts made that outcome) / (how probable it was for whoever knew nothing)

This is Bayes' rule for "its words inform" against "its words are noise". The odds never rise above where named makers
begin, so that no long honest record can be spent on one large lie. What is said fades in a straight line from its
signature to its expiry.
"""

from typing import Annotated, Final

from msgspec import Meta

from node.decision.checked import Checked, Count, Whole
from node.decision.words import MakerWord
from node.priors.document import MILLI, Prior, Row

NAMED_ODDS: Final = 9.0
"""The owner named it: nine to one that its words mean something."""
FOUND_ODDS: Final = 3.0 / 7.0
"""Anybody may sell words: three to seven."""
MOST_ODDS: Final = NAMED_ODDS
LEAST_ODDS: Final = 1e-6
LEAST_WEIGHT: Final = 0.25
"""Who is believed by less counts for nothing, until its words come true again: a little slander keeps a buyer from good
sellers just as well, and then nothing would be compared that could show it."""
LIAR_ODDS: Final = LEAST_ODDS
"""Of a maker whose opened leaves were not what it had signed: that is no error of judgement."""
UNTOLD: Final = 0.8
"""How often a seller does good work of which nothing is known: .73 of them as claimed, the others .4
(decision.dishonest_share, dishonest_success)."""
UNTOLD_JOBS: Final = 2.0
"""What is not known weighs as much as two probes: few words say little, and risk little."""


class Standing(Checked, frozen=True, kw_only=True):
    """What is known of one maker's words."""

    odds: Annotated[float, Meta(ge=LEAST_ODDS, le=MOST_ODDS)] = FOUND_ODDS
    compared: Whole = 0
    """Jobs that were held against its words."""
    surprises: Whole = 0
    """Of those, how many its words made less probable than they were without them."""

    @property
    def weight(self) -> float:
        """What its counts are multiplied by: the probability that its words mean something; 0 where that is low."""
        probability = self.odds / (1.0 + self.odds)
        return probability if probability >= LEAST_WEIGHT else 0.0


def first_standing(*, is_named: bool) -> Standing:
    """Of a maker of which nothing is known."""
    return Standing(odds=NAMED_ODDS if is_named else FOUND_ODDS)


def fade(prior: Prior, now_unix_s: float) -> float:
    """What is left of a document's words: all at its signature, nothing at its expiry."""
    life_s = prior.exp - prior.iat
    return min(1.0, max(0.0, (prior.exp - now_unix_s) / life_s))


def expected(good: Count, bad: Count) -> float:
    """The probability of good work that counts come to."""
    return (good + UNTOLD_JOBS * UNTOLD) / (good + bad + UNTOLD_JOBS)


def compared(standing: Standing, row: Row, left: float, *, good: bool) -> Standing:
    """The maker's standing after a job with a seller of which it said `row`, of which `left` had not faded."""
    said = expected(left * row.good_milli / MILLI, left * row.bad_milli / MILLI)
    ratio = said / UNTOLD if good else (1.0 - said) / (1.0 - UNTOLD)
    return Standing(
        odds=min(MOST_ODDS, max(LEAST_ODDS, standing.odds * ratio)),
        compared=standing.compared + 1,
        surprises=standing.surprises + (ratio < 1.0),
    )


def word(name: str, prior: Prior, row: Row, standing: Standing, now_unix_s: float) -> MakerWord:
    """What a row comes to now, for a decision."""
    left = fade(prior, now_unix_s)
    return MakerWord(
        maker=name,
        good=left * row.good_milli / MILLI,
        bad=left * row.bad_milli / MILLI,
        weight=standing.weight,
        age_s=max(0.0, now_unix_s - prior.iat),
        latency=None if row.latency_ppm is None else row.latency_ppm / 1_000_000,
    )
