"""TOPSIS weights corrected for criteria that say the same thing twice: COALESCE eq. (11)."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_SELLERS = 3
"""Two points always lie on a line: with fewer than three sellers every correlation is +-1 and says nothing."""


def correlation_adjusted(weights: Floats, table: Floats, among: NDArray[np.bool_], penalty: float) -> Floats:
    """(..., criteria): w_i (1 - penalty * sum over j != i of |rho_ij|), clamped at 0 and normalised to sum to 1.

    `weights` is (..., criteria), `table` (..., sellers, criteria), `among` (..., sellers) the sellers that count. The
    print goes negative where the sum is large; a criterion that does not vary correlates with nothing. Unchanged for
    fewer than three sellers, and where nothing would be left.
    """
    counted = among[..., None].astype(float)
    count = counted.sum(-2, keepdims=True)
    safe = np.maximum(count, 1.0)
    centred = np.where(among[..., None], table, 0.0)
    centred = (centred - centred.sum(-2, keepdims=True) / safe) * counted
    scale = np.abs(centred).max(-2, keepdims=True, initial=0.0)
    centred = centred / np.where(scale > 0.0, scale, 1.0)  # so that no square overflows
    norm = np.sqrt((centred * centred).sum(-2))
    products = np.swapaxes(centred, -1, -2) @ centred
    norms = norm[..., :, None] * norm[..., None, :]
    rho = np.where(norms > 0.0, np.abs(products) / np.where(norms > 0.0, norms, 1.0), 0.0)
    rho = np.minimum(rho, 1.0) * (1.0 - np.eye(table.shape[-1]))
    adjusted = np.maximum(0.0, weights * (1.0 - penalty * rho.sum(-1)))
    total = adjusted.sum(-1, keepdims=True)
    usable = (count[..., 0, :] >= LEAST_SELLERS) & (total > 0.0)
    return np.asarray(np.where(usable, adjusted / np.where(total > 0.0, total, 1.0), weights))
