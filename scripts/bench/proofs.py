"""What proofs cost: to make, to check, to send. CPU time of this process; the least of several rounds, interleaved.

The goals are ratios: checking an attestation at most a tenth of computing it, checking a range proof at most a fifth of
making it. Both sides of a ratio are measured in turn, so that a noisy neighbour meets both.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crypto import bulletproofs
from crypto.group import Group, PythonGroup, SodiumGroup
from crypto.identity import Identity
from crypto.merkle import root
from crypto.merlin import Transcript
from crypto.pedersen import commit
from node.attestation.matrices import NumpyEngine
from node.attestation.memory import MemoryProver, check_memory
from node.attestation.prover import ChainProver
from node.attestation.verifier import check_chain
from node.attestation.work import Work
from node.proofs.atleast import Part, Question, check_tier_leaf
from node.proofs.certificate import Terms, disclose, issue, read
from node.proofs.leaves import Claim, decode_leaf, resource_leaves

SEED = bytes(range(32))
Row = tuple[str, Callable[[], None], Callable[[], None], int, int]
"""Name, making, checking, bytes, rounds."""


def tier_leaf() -> Row:
    """One of the tiers of a certificate of three resources; issuing it is the making."""
    claims = [Claim(name, 96, bytes(32)) for name in ("memory_gib", "gpu_memory_gib", "disk_gib")]
    leaves = resource_leaves(claims, os.urandom)
    issuer = Identity(SEED)
    terms = Terms(subject=issuer.public_key, network="bench", issued_unix_s=0, expires_unix_s=1, serial="0" * 32)
    token = issue(issuer, terms, leaves)
    index = next(at for at, leaf in enumerate(leaves) if getattr(decode_leaf(leaf), "at_least", 0) == 64)
    part = Part(token, read(token), disclose(leaves, index))
    question = Question(name="memory_gib", at_least=64, prover=b"", verifier=b"", session_hash=b"", nonce=b"")

    def make() -> None:
        root(resource_leaves(claims, os.urandom))

    size = len(part.shown.leaf) + 32 * len(part.shown.path)
    return "tier leaf", make, lambda: check_tier_leaf(question, part), size, 50


def range_proof(name: str, prover: Group, verifier: Group) -> Row:
    """32 bits, one commitment; generators prepared, as from the second proof of a process on. Each side has its own."""
    commitment = commit(prover, 96, 5)

    def make() -> None:
        proof[:] = [bulletproofs.prove(prover, Transcript(b"bench"), 96, 5, bits=32, entropy=SEED)]

    def check() -> None:
        bulletproofs.verify(verifier, Transcript(b"bench"), [commitment], proof[0], bits=32)

    proof: list[bytes] = []
    make()
    check()
    return f"range proof, 32 bits, {name}", make, check, len(proof[0]), 10


def attestation(size: int, rounds: int) -> Row:
    """The whole of both sides: products, roots and answers; generating the matrices and checking."""
    work, roots, made = Work(size, rounds), list[bytes](), dict[str, bytes]()

    def make() -> None:
        chain = ChainProver(work, SEED, NumpyEngine())
        roots[:] = chain.run()
        made["vectors"], made["rows"] = chain.project(SEED), chain.open(SEED)

    def check() -> None:
        check_chain(work, SEED, roots, SEED, made["vectors"], SEED, made["rows"])

    make()
    sent = 32 * rounds + len(made["vectors"]) + len(made["rows"])
    return f"attestation, n = {size}, {rounds} rounds", make, check, sent, 3


def memory(mib: int) -> Row:
    """Filling and opening."""
    work, roots, made = Work(256, 1, mib), list[bytes](), dict[str, bytes]()

    def make() -> None:
        prover = MemoryProver(work, SEED)
        roots[:], made["chunks"] = prover.fill(), prover.open(SEED)

    def check() -> None:
        check_memory(work, SEED, roots, SEED, made["chunks"])

    make()
    return f"memory, {mib} MiB", make, check, 32 * len(roots) + len(made["chunks"]), 3


def rows() -> Iterator[Row]:
    """One after the other, so that large ones are let go."""
    yield tier_leaf()
    yield range_proof("plain Python", PythonGroup(), PythonGroup())
    try:
        yield range_proof("rbcl", SodiumGroup(), SodiumGroup())
    except ImportError:
        print("rbcl is not installed: pip install 'coalesced[proofs]'", file=sys.stderr)
    yield attestation(1024, 8)
    yield attestation(2048, 8)
    yield memory(256)


def cpu_ms(work: Callable[[], None]) -> float:
    """CPU time of one call, all threads."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e3


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="instead of each row's own number")
    options = parser.parse_args()
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n"
    )
    print("| proof | make, ms | check, ms | check / make | bytes |\n|-|-|-|-|-|")
    for name, make, check, size, rounds in rows():
        times = [(cpu_ms(make), cpu_ms(check)) for _ in range(options.rounds or rounds)]
        made, checked = (min(column) for column in zip(*times, strict=True))
        print(f"| {name} | {made:,.2f} | {checked:,.3f} | 1/{made / checked:.1f} | {size:,} |", flush=True)


if __name__ == "__main__":
    main()
