"""What is known of a seller, in words: own receipts, what others say, what settling and waiting take."""

from node.decision.decision import Decision
from node.decision.inputs import Candidate, VerificationOption
from node.decision.policies.settings import PolicyConfig
from node.decision.words import MakerWord, counted_for, reports
from node.wording import counted, duration, usd

SHOWN_SELLERS = 3
HEEDING = "market-maker"
"""The rule that counts what market makers say."""


def grounds(decision: Decision) -> tuple[str, ...]:
    """A sentence or more about each of the best sellers, the chosen one first."""
    by_key = {one.key: one for one in decision.inputs.candidates}
    rows = sorted(decision.rows, key=lambda row: row.contractor != decision.contractor)[:SHOWN_SELLERS]
    said = (one for row in rows for one in _of(by_key[row.contractor], decision.inputs.config))
    return (*said, *map(_check, (option for option in decision.inputs.options if option.basis)))


def _check(option: VerificationOption) -> str:
    """What a level looks at, what it finds and costs, and how that is known."""
    parts = f" ({', '.join(option.checks)})" if option.checks else ""
    known = "assumed" if option.assumed else "measured"
    cost = usd(option.cost_micro) if option.cost_micro else "nothing"
    bought = f" and {option.price_share:g} of the price" if option.price_share else ""
    return (
        f"A {option.level} check{parts} finds {option.detection:.2f} of bad work ({known}: {option.basis}) "
        f"for {cost}{bought}."
    )


def _of(seller: Candidate, settings: PolicyConfig) -> list[str]:
    said = []
    if seller.reputation is not None:
        own = f"{seller.successes:.1f} good, {seller.failures:.1f} bad" if seller.jobs else "none"
        said.append(f"Own experience with {seller.name}: {own}. {_others(seller, settings)}")
    if seller.words:
        said.append(_makers(seller, settings))
    if seller.settlement_micro or seller.settlement_s:
        fee, wait = usd(seller.settlement_micro), duration(seller.settlement_s)
        said.append(f"An escrow with {seller.name} costs {fee} in fees and holds its work up for {wait}.")
    if seller.orders_ahead:
        orders = f"{counted(seller.orders_ahead, 'order')} of this node's own on the way to {seller.name}"
        said.append(f"With {orders}, {duration(seller.ahead_s)} more of waiting are counted.")
    return said


def _others(seller: Candidate, settings: PolicyConfig) -> str:
    found = seller.reputation
    assert found is not None
    if not found.level_1_jobs:
        return f"Others say nothing of {seller.name} yet."
    everybody = (
        f"{found.level_1:.2f} (at least {found.level_1_low:.2f}) by {counted(found.raters, 'client')} "
        f"and {found.level_1_jobs:.1f} jobs"
    )
    if settings.reputation == "paper" and found.printed is not None:
        mine = f'{found.printed:.2f} by eq. (14) as printed (reputation = "paper"), {found.printed_jobs:.1f} jobs'
    elif found.level_2 is None:
        mine = "none of them this node has reason to believe"
    else:
        mine = f"{found.level_2:.2f} by those whom this node believes, {found.level_2_jobs:.1f} jobs"
    told = seller.told(settings)
    worth = f"{told.successes:.1f} good and {told.failures:.1f} bad jobs of its own"
    return f"Others say {everybody}; {mine}: that counts as {worth}."


def _makers(seller: Candidate, settings: PolicyConfig) -> str:
    """Who probed it, with what result, how far that is believed, and what it counts for."""
    said = "; ".join(_word(word) for word in seller.words)
    if settings.policy != HEEDING:
        return f"Of {seller.name}, {said}: the rule {settings.policy} leaves that out."
    worth = counted_for(reports(seller.words), discount=settings.shared_discount, most_jobs=settings.shared_jobs_max)
    jobs = f"{worth.successes:.1f} good and {worth.failures:.1f} bad jobs of its own"
    return f"Of {seller.name}, {said}: that counts as {jobs}."


def _word(word: MakerWord) -> str:
    late = "" if word.latency is None else f", done in {word.latency:.1f} of the promised time"
    return (
        f"market maker {word.maker} (believed by {word.weight:.2f}) counts {word.good:.1f} good and {word.bad:.1f} bad "
        f"probes{late}, {duration(word.age_s)} ago"
    )
