"""The asking side: n^2 steps to check what took n^3 (Freivalds 1977), and a sample of rows to tie it to the roots.

For every round Y_k r must be A (X_(k-1) r). The right side is computed here from the u_(k-1) that was sent; of the left
side, the opened rows of Y_k are multiplied out. That u_k is X_k r is checked on the same rows. Who skipped a share s of
the rows is caught with probability 1 - (1 - s)^(rows opened); more of them do not fit, because the roots were there
before r, and u before it was known which rows.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crypto.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from node.attestation.matrices import ROW_BYTES, decode_row, factor, phi, start, weights
from node.attestation.prover import opened_rows
from node.attestation.work import AttestationError, Work

_LARGEST_U = float(2**34)
"""n * 64 * 2^16 for the largest n: no true u is above, and below it every sum here is exact in double precision."""


def check_chain(
    work: Work, seed: bytes, roots: Sequence[bytes], r_seed: bytes, vectors: bytes, row_seed: bytes, opened: bytes
) -> None:
    """AttestationError unless the rows opened under `roots` are those of this work, from this seed."""
    size = work.size
    if len(roots) != work.rounds or any(len(root) != HASH_BYTES for root in roots):
        raise AttestationError(f"{len(roots)} roots were committed to, for {work.rounds} rounds")
    path_hashes = size.bit_length() - 1
    record = ROW_BYTES * size + HASH_BYTES * path_hashes
    places = opened_rows(work, row_seed)
    if len(opened) != record * len(places):
        raise AttestationError(f"the rows that were opened are {len(opened)} bytes, not {record * len(places)}")
    r = weights(r_seed, size)
    projected = _projected(work, seed, r, vectors)
    expected = factor(seed, size).astype(np.float64) @ projected  # column k-1 is Y_k r
    for at, (number, index) in enumerate(places):
        data = opened[record * at : record * (at + 1)]
        row_data, hashes = data[: ROW_BYTES * size], data[ROW_BYTES * size :]
        path = [hashes[start_ : start_ + HASH_BYTES] for start_ in range(0, len(hashes), HASH_BYTES)]
        if not verify_inclusion(leaf_hash(row_data), index, size, path, roots[number]):
            raise AttestationError(f"row {index} of round {number + 1} is not the one that was committed to")
        row = decode_row(row_data, size)
        if float(row.astype(np.float64) @ r) != expected[index, number]:
            raise AttestationError(f"row {index} of round {number + 1} is not that of the product")
        if number + 1 < work.rounds and float(phi(row).astype(np.float64) @ r) != projected[index, number + 1]:
            raise AttestationError(f"row {index} of round {number + 1} is not what the next round began with")


def _projected(work: Work, seed: bytes, r: NDArray[np.float64], vectors: bytes) -> NDArray[np.float64]:
    """u_0 to u_(rounds-1) as columns, of shape (size, rounds)."""
    size = work.size
    if len(vectors) != 8 * size * (work.rounds - 1):
        raise AttestationError(f"the projections are {len(vectors)} bytes, not {8 * size * (work.rounds - 1)}")
    sent = np.frombuffer(vectors, dtype="<i8").reshape(work.rounds - 1, size).astype(np.float64)
    if sent.size and float(np.abs(sent).max()) > _LARGEST_U:
        raise AttestationError("a projection is larger than any that small integers can make")
    first = start(seed, size).astype(np.float64) @ r
    return np.ascontiguousarray(np.vstack([first[np.newaxis, :], sent]).T)
