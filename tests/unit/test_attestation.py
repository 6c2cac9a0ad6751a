"""The compute benchmark: honest provers pass, and every shortcut is refused. Nothing is timed here."""

import builtins
import hashlib
from typing import Any

import numpy as np
import pytest

from crypto.merkle import Tree, leaf_hash
from node.attestation import memory
from node.attestation.matrices import (
    Engine,
    NumpyEngine,
    Small,
    TorchEngine,
    Whole,
    decode_row,
    encode_rows,
    factor,
    fastest_engine,
    phi,
    start,
    weights,
)
from node.attestation.prover import ChainProver, opened_rows
from node.attestation.verifier import check_chain
from node.attestation.work import AttestationError, Work, picks, rate_gops, work_seed

WORK = Work(size=256, rounds=4)
SEED, R_SEED, ROW_SEED = b"s" * 32, b"r" * 32, b"o" * 32


class Lazy(NumpyEngine):
    """Leaves out the last `skipped` rows of every product."""

    def __init__(self, skipped: int) -> None:
        self._skipped = skipped

    def multiply(self, a: Any, x: Any) -> tuple[Whole, Small, Any]:
        y, _, _ = super().multiply(a, x)
        y = y[np.random.default_rng(1).permutation(len(y))] if self._skipped == len(y) else y
        y[len(y) - self._skipped :] = 7
        small = phi(y).astype(np.int8)
        return y, small, small.astype(np.float32)


class Structured(NumpyEngine):
    """Multiplies by a Hankel matrix of its own instead, whose products take n^2 steps."""

    def multiply(self, a: Any, x: Any) -> tuple[Whole, Small, Any]:
        line = np.resize(a[0], 2 * len(a))
        hankel = np.stack([line[at : at + len(a)] for at in range(len(a))])
        return super().multiply(hankel, x)


def attest(engine: Engine | None = None, *, seed: bytes = SEED, r: bytes = R_SEED, rows: bytes = ROW_SEED) -> None:
    prover = ChainProver(WORK, seed, engine or NumpyEngine())
    check_chain(WORK, SEED, prover.run(), r, prover.project(r), rows, prover.open(rows))


def refused(why: str) -> pytest.RaisesExc[AttestationError]:
    return pytest.RaisesExc(AttestationError, match=why)


def test_who_did_the_work_passes() -> None:
    attest()


def test_one_who_skips_a_tenth_of_the_rows_is_caught_whatever_is_drawn() -> None:
    caught = 0
    prover = ChainProver(WORK, SEED, Lazy(skipped=26))
    roots, vectors = prover.run(), prover.project(R_SEED)
    for number in range(60):
        rows = hashlib.sha256(bytes([number])).digest()
        try:
            check_chain(WORK, SEED, roots, R_SEED, vectors, rows, prover.open(rows))
        except AttestationError:
            caught += 1
    assert caught >= 58  # 48 rows are opened: it passes once in 150 times


def test_a_structured_matrix_is_refused() -> None:
    with refused("not that of the product"):
        attest(Structured())


def test_the_matrices_have_no_structure_to_use() -> None:
    a = factor(SEED, 256)
    assert (a[1:, :-1] == a[:-1, 1:]).mean() < 0.05  # Hankel
    assert (a[1:, 1:] == a[:-1, :-1]).mean() < 0.05  # Toeplitz
    assert np.linalg.matrix_rank(a.astype(np.float64)) == 256
    assert (a.min(), a.max()) == (-32, 31)
    assert (start(SEED, 256).min(), start(SEED, 256).max()) == (-64, 63)


def test_work_that_was_done_before_the_seed_was_drawn_is_refused() -> None:
    with refused("not that of the product"):
        attest(seed=b"t" * 32)


def test_the_work_depends_on_who_works_for_whom_and_where() -> None:
    who = (b"drawn", b"prover", b"verifier", b"session")
    seeds = {work_seed(*who), *(work_seed(*(*who[:at], b"x", *who[at + 1 :])) for at in range(4))}
    assert len(seeds) == 5


def test_a_time_that_the_prover_states_counts_for_nothing() -> None:
    """A rate is made of the verifier's clock and its own least round trip; an attestation carries no time."""
    work = Work(size=1024, rounds=4)
    assert rate_gops(work, elapsed_s=1.1, least_rtt_s=0.1) == pytest.approx(2 * 1024**3 * 4 / 1e9)
    assert not [name for name in vars(ChainProver) if "time" in name or "clock" in name]


def test_projections_that_were_made_to_fit_are_refused() -> None:
    """Who knew the rows could solve for u; that it must say u before is what this order of messages is for."""
    prover = ChainProver(WORK, SEED, Lazy(skipped=256))
    roots = prover.run()
    r, a = weights(R_SEED, 256), factor(SEED, 256).astype(np.float64)
    u, made = start(SEED, 256).astype(np.float64) @ r, []
    for _ in range(WORK.rounds - 1):
        u = np.clip(a @ u, -(2**33), 2**33)
        made.append(u.astype("<i8").tobytes())
    with refused("not that of the product"):
        check_chain(WORK, SEED, roots, R_SEED, b"".join(made), ROW_SEED, prover.open(ROW_SEED))


def test_a_row_that_was_changed_after_the_commitment_is_refused() -> None:
    prover = ChainProver(WORK, SEED, NumpyEngine())
    roots, vectors = prover.run(), prover.project(R_SEED)
    opened = bytearray(prover.open(ROW_SEED))
    opened[5] ^= 1
    with refused("not the one that was committed to"):
        check_chain(WORK, SEED, roots, R_SEED, vectors, ROW_SEED, bytes(opened))


def test_a_projection_that_does_not_belong_to_the_rows_is_refused() -> None:
    prover = ChainProver(WORK, SEED, NumpyEngine())
    roots, vectors = prover.run(), np.frombuffer(prover.project(R_SEED), dtype="<i8").copy()
    vectors[opened_rows(WORK, ROW_SEED)[0][1]] += 1
    with refused("began with|not that of the product"):
        check_chain(WORK, SEED, roots, R_SEED, vectors.tobytes(), ROW_SEED, prover.open(ROW_SEED))
    vectors[0] = 2**60
    with refused("larger than any"):
        check_chain(WORK, SEED, roots, R_SEED, vectors.tobytes(), ROW_SEED, prover.open(ROW_SEED))


def test_answers_of_other_lengths_are_refused() -> None:
    prover = ChainProver(WORK, SEED, NumpyEngine())
    roots, vectors, opened = prover.run(), prover.project(R_SEED), prover.open(ROW_SEED)
    for case in ((roots[1:], vectors, opened), (roots, vectors[8:], opened), (roots, vectors, opened + b"x")):
        with pytest.raises(AttestationError):
            check_chain(WORK, SEED, case[0], R_SEED, case[1], ROW_SEED, case[2])


def test_products_are_exact_in_single_precision_also_at_the_extremes() -> None:
    a, x = np.full((2, 4096), -32, dtype=np.int8), np.full((4096, 2), 63, dtype=np.int8)
    x[0] = 62
    y, _, _ = NumpyEngine().multiply(NumpyEngine().load(a), NumpyEngine().load(x))
    assert y.tolist() == (a.astype(np.int64) @ x.astype(np.int64)).tolist()


def test_rows_are_read_as_they_were_written() -> None:
    y = np.array([[-(2**23), -1], [0, 2**23 - 1]], dtype=np.int32)
    assert [decode_row(row, 2).tolist() for row in encode_rows(y)] == y.tolist()


@pytest.mark.parametrize(("size", "rounds", "mib"), [(100, 1, 0), (256, 0, 0), (256, 17, 0), (256, 1, 7)])
def test_work_of_other_sizes_cannot_be_asked_for(size: int, rounds: int, mib: int) -> None:
    with refused("an attestation is of"):
        Work(size, rounds, mib)


def test_without_torch_the_processor_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_torch(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "torch":
            raise ImportError("no torch here")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    assert fastest_engine().name == "numpy"


def test_a_gpu_gives_the_same_integers_as_the_processor() -> None:
    try:
        gpu = TorchEngine()
    except ImportError as error:
        pytest.skip(str(error))
    for seed in (SEED, R_SEED):
        work = Work(size=1024, rounds=8)
        here, there = ChainProver(work, seed, NumpyEngine()), ChainProver(work, seed, gpu)
        assert here.run() == there.run()
        assert (here.project(R_SEED), here.open(ROW_SEED)) == (there.project(R_SEED), there.open(ROW_SEED))


MEMORY = Work(size=256, rounds=1, memory_mib=16)


@pytest.fixture(scope="module", name="filled")
def _filled() -> tuple[memory.MemoryProver, list[bytes]]:
    prover = memory.MemoryProver(MEMORY, SEED)
    return prover, prover.fill()


def test_who_holds_the_memory_passes(filled: tuple[memory.MemoryProver, list[bytes]]) -> None:
    prover, roots = filled
    for number in range(4):
        challenge = bytes([number]) * 32
        memory.check_memory(MEMORY, SEED, roots, challenge, prover.open(challenge))


def test_memory_of_another_seed_or_another_root_is_refused(filled: tuple[memory.MemoryProver, list[bytes]]) -> None:
    prover, roots = filled
    challenge = next(
        seed for seed in (bytes([n]) * 32 for n in range(99)) if 1 in dict(memory.opened_places(MEMORY, seed))
    )
    opened = prover.open(challenge)
    with refused("not made of the layer below"):
        memory.check_memory(MEMORY, b"t" * 32, roots, challenge, opened)
    with refused("not the one that was committed to"):
        memory.check_memory(MEMORY, SEED, roots[::-1], challenge, opened)
    with refused("bytes of chunks"):
        memory.check_memory(MEMORY, SEED, roots, challenge, opened + b"x")
    with refused("committed to"):
        memory.check_memory(MEMORY, SEED, roots, challenge, opened[:-1])
    with refused("for 32 layers"):
        memory.check_memory(MEMORY, SEED, roots[1:], challenge, opened)


def test_layers_that_could_be_squeezed_are_refused() -> None:
    """All zeros would need no memory at all."""
    chunks = memory.width(MEMORY) // memory.CHUNK
    tree = Tree([leaf_hash(bytes(8 * memory.CHUNK))] * chunks)
    record = bytes(8 * memory.CHUNK) + b"".join(tree.path(0))
    answer = b"".join(record * (4 if layer > 1 else 1) for layer, _ in memory.opened_places(MEMORY, ROW_SEED))
    with refused("not made of the layer below|not the one"):
        memory.check_memory(MEMORY, SEED, [tree.root] * memory.LAYERS, ROW_SEED, answer)


def test_picks_are_below_their_limit_and_depend_on_the_challenge() -> None:
    assert max(picks(b"rows", SEED, 100, 256)) < 256
    assert picks(b"rows", SEED, 100, 256) != picks(b"rows", R_SEED, 100, 256)
