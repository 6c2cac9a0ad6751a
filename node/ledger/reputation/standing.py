"""A contractor's standing, explained: evidence, decay, interval, both levels, and who said what. For showing only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from node.ledger.chain.state import Account, AccountId, State, account_key
from node.ledger.reputation.beta import lower_bound
from node.ledger.reputation.l1 import ONE, as_printed, beta_of, daily_factor, decayed
from node.ledger.reputation.l2 import MEMBER_WEIGHT, SELF_WEIGHT, Ratings, Trust, View, combine, view_of

DAYS_PER_MONTH = 30.436875


@dataclass(frozen=True, slots=True)
class Level1:
    """What all ratings come to, decayed and capped: the same for everybody."""

    mean: float
    low: float
    """5 % lower bound."""
    successes: float
    """In jobs, as they count today."""
    failures: float
    as_printed: float
    """COALESCE eq. (14) as printed, to compare with."""


@dataclass(frozen=True, slots=True)
class AnchorSays:
    """One anchor's view of the contractor."""

    anchor: bytes
    is_self: bool
    weight: float
    """Its share in the median, 0 to 1."""
    rate: float


@dataclass(frozen=True, slots=True)
class Level2:
    """What the ratings come to for this node."""

    rate: float
    jobs: float
    """How many believed jobs are behind it; level 1 has its own where it stands in."""
    fell_back: bool
    """Whether the anchors were too far apart, or knew too little, and level 1 stands in."""
    anchors: tuple[AnchorSays, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What one client says about the contractor, in jobs as they count today."""

    client: bytes
    successes: float
    failures: float
    ratings: int
    explored: int
    disputed: int
    unrated: int
    belief: float | None
    """How far this node believes the client, 0 to 1; None where it has no level 2."""


@dataclass(frozen=True, slots=True)
class Standing:
    """All there is to know from the chain about one account as a contractor."""

    account: bytes
    key: bytes
    is_active: bool
    day: int
    kept: float
    """Of the evidence as it stood after the last rating, what is left by decay, 0 to 1."""
    ratings: int
    explored: int
    disputed: int
    unrated: int
    bond: int
    level_1: Level1
    level_2: Level2 | None
    said: tuple[Said, ...]
    """Those that weigh most come first."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """Level 2 of one node for all accounts: worked out once an epoch, then looked up."""

    index: dict[bytes, int]
    anchors: tuple[bytes, ...]
    me: bytes | None
    views: tuple[View, ...]
    trust: Trust

    def rate(self, account: bytes) -> tuple[float, bool] | None:
        """An account's score and whether it is level 1's; None when it joined since."""
        at = self.index.get(account)
        return None if at is None else (float(self.trust.scores[at]), bool(self.trust.fell_back[at]))


def anchored(state: State, me: AccountId | None, day: int) -> Anchored:
    """Level 2 for account `me` (None: a node without one, which has only the committee to go by) on `day`."""
    accounts = dict(state.accounts())
    index: dict[bytes, int] = {account: at for at, account in enumerate(accounts)}
    members = [owner for key in state.members if (owner := state.account_of(key)) is not None and owner != me]
    known = ([me] if me is not None and me in index else []) + members
    ratings = ratings_on(state, index, day)
    views = tuple(view_of(ratings, index[anchor]) for anchor in known)
    weights = [SELF_WEIGHT if anchor == me else MEMBER_WEIGHT for anchor in known]
    level_1 = np.array([_mean(account, day) for account in accounts.values()], dtype=np.float64)
    return Anchored(index, tuple(known), me, views, combine(views, weights, level_1))


def ratings_on(state: State, index: dict[bytes, int], day: int) -> Ratings:
    """All pairs of the state as level 2 takes them, counts decayed to `day`."""
    rows: list[tuple[int, int, float, float]] = []
    for contractor, client, pair in state.pairs():
        now = decayed(pair.counts, day)
        if now.successes or now.failures:
            rows.append((index[client], index[contractor], now.successes / ONE, now.failures / ONE))
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4)
    raters, contractors = columns[:, 0].astype(np.intp), columns[:, 1].astype(np.intp)
    return Ratings(len(index), raters, contractors, columns[:, 2], columns[:, 3])


def standing(state: State, key: bytes, day: int, levels: Anchored | None = None) -> Standing | None:
    """The standing of the account whose key this is or was, on `day`; None when it has none on this chain."""
    owner = state.account_of(key)
    if owner is None:
        return None
    account = state.the(Account, account_key(owner))
    return Standing(
        account=owner,
        key=account.key,
        is_active=account.standing == 0,
        day=day,
        kept=daily_factor(max(0, day - account.day)) / ONE if account.ratings else 1.0,
        ratings=account.ratings,
        explored=account.explored,
        disputed=account.disputed,
        unrated=account.unrated,
        bond=account.bond,
        level_1=_level_1(account, day),
        level_2=None if levels is None else _level_2(owner, levels),
        said=_said(state, owner, day, levels),
    )


def _mean(account: Account, day: int) -> float:
    a, b = beta_of(account.sums, day)
    return a / (a + b)


def _level_1(account: Account, day: int) -> Level1:
    a, b = beta_of(account.sums, day)
    undecayed_a, undecayed_b = beta_of(account.sums, account.day)
    idle_months = max(0, day - account.day) / DAYS_PER_MONTH if account.ratings else 0.0
    printed = as_printed(undecayed_a - 1.0, undecayed_b - 1.0, idle_months)
    return Level1(a / (a + b), lower_bound(a, b), a - 1.0, b - 1.0, printed)


def _level_2(owner: AccountId, levels: Anchored) -> Level2 | None:
    at = levels.index.get(owner)
    if at is None:
        return None
    total = float(levels.trust.weights.sum()) or 1.0
    anchors = tuple(
        AnchorSays(anchor, anchor == levels.me, float(weight) / total, float(view.rates[at]))
        for anchor, weight, view in zip(levels.anchors, levels.trust.weights, levels.views, strict=True)
    )
    trust = levels.trust
    return Level2(float(trust.scores[at]), float(trust.jobs[at]), bool(trust.fell_back[at]), anchors)


def _said(state: State, owner: AccountId, day: int, levels: Anchored | None) -> tuple[Said, ...]:
    said = []
    for _, client, pair in state.pairs(owner):
        now = decayed(pair.counts, day)
        said.append(
            Said(
                client=client,
                successes=now.successes / ONE,
                failures=now.failures / ONE,
                ratings=pair.ratings,
                explored=pair.explored,
                disputed=pair.disputed,
                unrated=pair.unrated,
                belief=None if levels is None else _belief(client, levels),
            )
        )
    return tuple(sorted(said, key=lambda one: (-(one.successes + one.failures), one.client)))


def _belief(client: AccountId, levels: Anchored) -> float | None:
    """The mean of the anchors' belief in a rater, by their weight."""
    at = levels.index.get(client)
    weights: Sequence[float] = [float(weight) for weight in levels.trust.weights]
    if at is None or not sum(weights):
        return None
    believed = sum(w * float(view.belief[at]) for w, view in zip(weights, levels.views, strict=True))
    return believed / sum(weights)
