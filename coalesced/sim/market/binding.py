"""The market as the node's policies see it: their menu from a step, and the rules that are compared with them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from coalesced.sim.market.outcome import AUTOMATED_ABOVE, CHANNEL_STRENGTH, GAMMA, printed_check_usd, true_cost_usd
from coalesced.sim.market.parameters import DETECTION, VERIFICATION_USD, Flags, Floats, Ints
from coalesced.sim.market.quotes import Step
from coalesced.sim.market.scenario import Scenario
from coalesced.sim.market.world import World
from node.decision.policies import batch
from node.decision.policies.interface import LOCAL, CheckTerms, Experience, Menu, Policy
from node.decision.policies.pricing import features, pessimistic, posterior
from node.decision.policies.registry import POLICIES, policy
from node.decision.policies.settings import FEATURES, PolicyConfig
from protocol.specification import Level

MICRO: Final = 1e6
LEVELS: Final[tuple[Level, Level, Level]] = ("none", "cheap", "full")
BREACH_BASE, BREACH_SLOPE = 0.02, 0.1
"""The engine's own expectation of a leak, from the posterior mean (DecisionConfig)."""

SIMULATED: Final = PolicyConfig(unproven_value_micro=500_000_000)
"""The engine's defaults, but that exploration is not capped by value: the paper's tasks start at the cap of $50."""


@dataclass(frozen=True, slots=True)
class View:
    """What is known at one step, to the client and to the simulator."""

    scenario: Scenario
    world: World
    now: Step
    experience: Experience
    """(runs, sellers): the client's whose turn it is."""
    leaks: Floats
    """(runs, sellers): leaks that came to light to this client."""


@dataclass(frozen=True, slots=True)
class Choice:
    """(runs,) each: who is hired (-1 = nobody), at which check, and for what reason."""

    seller: Ints
    level: Ints
    explored: Flags
    features: Floats
    """(runs, FEATURES) of the hired seller, for what policies learn."""
    score: Floats
    """(runs,): TOPSIS of the hired seller, where the rule computes one; NaN elsewhere."""
    confidence: Floats
    """(runs,): eq. (18) or what stands for it; NaN where the rule has none."""


Chooser = Callable[[View, np.random.Generator], Choice]


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to choose, by name. `begin(runs)` gives the chooser of one simulation, with what it remembers by itself."""

    name: str
    begin: Callable[[int], Chooser]
    settings: PolicyConfig = field(default=SIMULATED)


def menu_of(view: View, settings: PolicyConfig, *, always_checks: bool = False) -> Menu:
    """The node's menu of a step. `always_checks`: eq. (6) as printed, where verification is no choice."""
    now, sellers, seen = view.now, view.world.sellers, view.experience
    prior = settings.prior_factor * sellers.claimed * sellers.advertised
    mean = posterior(prior, seen.successes, seen.failures, settings.prior_jobs)[0]
    general = BREACH_BASE + BREACH_SLOPE * (1.0 - mean)
    known = view.leaks / (seen.jobs + 1.0)
    p_breach = (1.0 - (1.0 - general) * (1.0 - known)) * view.scenario.sensitivity * (1.0 - CHANNEL_STRENGTH)
    value = MICRO * now.value_usd
    local = MICRO * now.local_usd
    proven = (seen.jobs >= settings.proven_jobs) | (value <= settings.unproven_value_micro)
    if always_checks:
        automated = sellers.claimed > AUTOMATED_ABOVE
        detection = np.where(automated, DETECTION[1], DETECTION[2])
        checks: tuple[CheckTerms, ...] = (CheckTerms("full", detection, MICRO * printed_check_usd(view.world)),)
    else:
        checks = tuple(
            CheckTerms(level, detection, MICRO * cost)
            for level, detection, cost in zip(LEVELS, DETECTION, VERIFICATION_USD, strict=True)
        )
    return Menu(
        usable=now.offered & (now.match >= settings.theta),
        explorable=now.offered & proven,
        price_micro=MICRO * now.price_usd,
        fixed_micro=MICRO * now.overhead_usd + value * GAMMA * p_breach,
        prior=prior,
        time_s=60.0 * now.time_min,
        p_breach=p_breach,
        match=now.match,
        checks=checks,
        value_micro=value,
        redo_micro=local,
        local_micro=local,
        limit_micro=local,
        deadline_s=60.0 * now.max_latency_min,
    )


def policy_rule(name: str, settings: PolicyConfig = SIMULATED) -> Rule:
    """One of the node's policies; UsageError names the nearest for any other name."""
    found = policy(name)
    return Rule(name, lambda _: lambda view, draw: by_policy(found, view, settings, draw), settings)


GUARDED: Final = "+guarded"
"""What follows a policy's name when it is run under a security budget."""
BUDGET_BREACH_SHARE: Final = 0.008
"""The budget: no seller whose expected leak costs more than this share of the task's value. An unremarkable seller's
costs .3 to .7 %; one leak that came to light is enough to be over."""
BUDGET_STRANGER_USD: Final = 200.0
"""And no task worth more for a seller of fewer than `proven_jobs` jobs."""


def guarded_rule(name: str, settings: PolicyConfig = SIMULATED) -> Rule:
    """A policy that only sees sellers within the security budget."""
    found = policy(name)
    return Rule(name + GUARDED, lambda _: lambda view, draw: by_policy(found, view, settings, draw, True), settings)


def _within_budget(view: View, menu: Menu, settings: PolicyConfig) -> Menu:
    stranger = (view.experience.jobs < settings.proven_jobs) & (view.now.value_usd > BUDGET_STRANGER_USD)
    within = (GAMMA * menu.p_breach <= BUDGET_BREACH_SHARE) & ~stranger
    return menu._replace(usable=menu.usable & within, explorable=menu.explorable & within)


def by_policy(
    found: Policy, view: View, settings: PolicyConfig, draw: np.random.Generator, is_guarded: bool = False
) -> Choice:
    """What a policy chooses at one step."""
    is_printed = found.name == "paper"
    menu = menu_of(view, settings, always_checks=is_printed)
    if is_guarded:
        menu = _within_budget(view, menu, settings)
    chosen = batch.choose(found, menu, view.experience, settings, draw)
    seller, level = np.asarray(chosen.pick.seller), np.asarray(chosen.pick.level)
    runs = np.arange(len(seller))
    column = np.maximum(seller, 0)
    if is_printed:
        level = np.where(view.world.sellers.claimed[runs, column] > AUTOMATED_ABOVE, 1, 2)
    unknown = np.full(len(seller), np.nan)
    return Choice(
        seller=seller,
        level=np.where(seller == LOCAL, 0, level),
        explored=np.asarray(chosen.pick.explored),
        features=features(menu, chosen.priced)[runs, column],
        score=unknown,
        confidence=unknown,
    )


def plain_choice(seller: Ints, level: Ints) -> Choice:
    """A choice by a rule that neither explores nor scores."""
    runs = len(seller)
    unknown = np.full(runs, np.nan)
    return Choice(seller, level, np.zeros(runs, bool), np.zeros((runs, FEATURES)), unknown, unknown)


def _oracle(view: View, draw: np.random.Generator) -> Choice:
    """Least true expected cost over sellers and checks, below the local cost."""
    cost = true_cost_usd(view.scenario, view.world, view.now)
    usable = view.now.offered & (view.now.match >= SIMULATED.theta)
    cost = np.where(usable, cost, np.inf)
    best = cost.min(0)
    seller = best.argmin(1)
    runs = np.arange(len(seller))
    hires = best[runs, seller] < view.now.local_usd[:, 0]
    level = cost[:, runs, seller].argmin(0)
    return plain_choice(np.where(hires, seller, LOCAL), np.where(hires, level, 0))


def _local(view: View, draw: np.random.Generator) -> Choice:
    none = np.full(len(view.now.present), LOCAL)
    return plain_choice(none, np.zeros_like(none))


BETA: Final = "beta"
"""The default rule with one Beta prior a seller in place of two kinds, and no account of the savings."""


def beta_rule(settings: PolicyConfig = SIMULATED) -> Rule:
    """`BETA`: what the default was, to be compared with."""
    found = POLICIES["expected-cost"]._replace(believe=pessimistic)
    return Rule(BETA, lambda _: lambda view, draw: by_policy(found, view, settings, draw), settings)


ORACLE: Final = Rule("oracle", lambda _: _oracle)
"""True parameters, the same checks to choose from: what regret is measured against. Greedy, task by task."""
ALL_LOCAL: Final = Rule("local", lambda _: _local)
