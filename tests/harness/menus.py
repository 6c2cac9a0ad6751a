"""Random markets as the policies' arrays, seeded; for tests of policies."""

import numpy as np

from node.decision.policies.interface import CheckTerms, Floats, Menu


def market(random: np.random.Generator, shape: tuple[int, ...], *, local_usd: tuple[float, float] = (20, 40)) -> Menu:
    """Sellers around a local cost of $20 to $40, one in ten not usable; `shape` is (sellers,) or (rows, sellers)."""
    rows = shape[:-1]

    def task(low: float, high: float) -> float | Floats:
        return random.uniform(low * 1e6, high * 1e6, (*rows, 1)) if rows else random.uniform(low * 1e6, high * 1e6)

    local = task(*local_usd)
    return Menu(
        usable=random.random(shape) < 0.9,
        explorable=random.random(shape) < 0.9,
        price_micro=random.uniform(1e6, 2e7, shape),
        fixed_micro=random.uniform(0, 1e6, shape),
        prior=random.uniform(0.5, 0.95, shape),
        time_s=random.uniform(10, 100, shape),
        p_breach=random.uniform(0, 0.05, shape),
        match=np.ones(shape),
        checks=(CheckTerms("none", 0.0, 0.0), CheckTerms("full", 0.95, 3e6)),
        value_micro=task(50, 500),
        redo_micro=local,
        local_micro=local,
        limit_micro=local,
        deadline_s=task(1e-4, 2e-4),
    )


def plain(*prices_usd: float, local_usd: float = 30, prior: float = 0.9, value_usd: float = 100) -> Menu:
    """One decision among sellers that differ by their price alone, with one check of $3 that finds all but a tenth."""
    size = len(prices_usd)
    return Menu(
        usable=np.ones(size, bool),
        explorable=np.ones(size, bool),
        price_micro=np.array(prices_usd) * 1e6,
        fixed_micro=np.zeros(size),
        prior=np.full(size, prior),
        time_s=np.full(size, 10.0),
        p_breach=np.full(size, 0.01),
        match=np.ones(size),
        checks=(CheckTerms("none", 0.0, 0.0), CheckTerms("full", 0.9, 3e6)),
        value_micro=value_usd * 1e6,
        redo_micro=local_usd * 1e6,
        local_micro=local_usd * 1e6,
        limit_micro=local_usd * 1e6,
        deadline_s=100.0,
    )
