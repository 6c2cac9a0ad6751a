"""The attested side: compute, commit, and only then learn what will be looked at.

run      -> a Merkle root over the rows of Y_k for every round            this is what is timed
project  <- weights r;      -> u_k = X_k r for every round but the last    before the rows are known:
open     <- which rows;     -> those rows, with their paths                else u could be made to fit them
"""

from collections.abc import Sequence

import numpy as np

from crypto.merkle import Tree, leaf_hash
from node.attestation.matrices import Engine, Small, encode_rows, factor, start, weights
from node.attestation.work import Work, picks


class ChainProver:
    """One attestation. Keeps 4 bytes for every entry of every round until it is let go."""

    def __init__(self, work: Work, seed: bytes, engine: Engine) -> None:
        self._work = work
        self._seed = seed
        self._engine = engine
        self._rows: list[list[bytes]] = []
        self._inputs: list[Small] = []
        self._trees: list[Tree] = []

    def run(self) -> list[bytes]:
        """Do the work; the roots to commit to, one for every round."""
        a = self._engine.load(factor(self._seed, self._work.size))
        x = self._engine.load(start(self._seed, self._work.size))
        for _ in range(self._work.rounds):
            y, small, x = self._engine.multiply(a, x)
            rows = encode_rows(y)
            self._rows.append(rows)
            self._inputs.append(small)
            self._trees.append(Tree([leaf_hash(row) for row in rows]))
        return [tree.root for tree in self._trees]

    def project(self, challenge: bytes) -> bytes:
        """u_k = X_k r for k = 1 to rounds - 1, each entry in 8 bytes, little-endian."""
        r = weights(challenge, self._work.size)
        return b"".join((x.astype(np.float64) @ r).astype("<i8").tobytes() for x in self._inputs[:-1])

    def open(self, challenge: bytes) -> bytes:
        """For every round, for every row picked: the row, then its path."""
        return b"".join(
            self._rows[number][index] + b"".join(self._trees[number].path(index))
            for number, index in opened_rows(self._work, challenge)
        )


def opened_rows(work: Work, challenge: bytes) -> Sequence[tuple[int, int]]:
    """Round and row of all that a challenge opens."""
    drawn = picks(b"rows", challenge, work.rounds * work.opened_rows, work.size)
    return [(at // work.opened_rows, index) for at, index in enumerate(drawn)]
