"""The default rule: least expected total cost, and only below the limit; TOPSIS decides between near-equals."""

from collections.abc import Sequence

from node.decision.config import DecisionConfig
from node.decision.decision import SellerRow


def pick(rows: Sequence[SellerRow], limit_micro: float, config: DecisionConfig) -> SellerRow | None:
    """The seller to hire; None when nobody costs less than `limit_micro`.

    Among rows within `config.tie_share` of the least score, the highest TOPSIS score wins, then the lower cost,
    then the smaller key: the answer does not depend on the order in which sellers are given.
    """
    below = [row for row in rows if row.score_micro < limit_micro]
    if not below:
        return None
    band = min(row.score_micro for row in below) * (1 + config.tie_share)
    near = (row for row in below if row.score_micro <= band)
    return min(near, key=lambda row: (-row.topsis, row.score_micro, row.contractor))
