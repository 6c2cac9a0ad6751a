"""What runs in the process for proofs: functions that keep the attestation under way between two calls."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crypto.group import fastest_group
from node.attestation.work import AttestationError, Work
from node.proofs.atleast import Opening, Question, prove_range

if TYPE_CHECKING:
    from node.attestation.memory import MemoryProver
    from node.attestation.prover import ChainProver

_chains: "dict[bytes, ChainProver]" = {}
_memories: "dict[bytes, MemoryProver]" = {}


def make_range_proof(question: Question, tokens: Sequence[str], openings: Sequence[Opening], entropy: bytes) -> bytes:
    """See node/proofs/atleast.prove_range."""
    return prove_range(fastest_group(), question, tokens, openings, entropy)


def run_chain(attestation_id: bytes, work: Work, seed: bytes) -> list[bytes]:
    """Begin an attestation, in place of any before it; the roots."""
    from node.attestation.matrices import fastest_engine
    from node.attestation.prover import ChainProver

    _chains.clear()
    _memories.clear()
    chain = _chains[attestation_id] = ChainProver(work, seed, fastest_engine())
    return chain.run()


def project(attestation_id: bytes, drawn: bytes) -> bytes:
    """The projections of the attestation under way."""
    return _under_way(attestation_id).project(drawn)


def open_rows(attestation_id: bytes, drawn: bytes) -> bytes:
    """The rows picked; then the chain is let go, so that nobody can look again and again."""
    opened = _under_way(attestation_id).open(drawn)
    _chains.clear()
    return opened


def fill_memory(attestation_id: bytes, work: Work, seed: bytes) -> bytes:
    """Fill the memory; the roots, joined."""
    from node.attestation.memory import MemoryProver

    _chains.clear()
    memory = _memories[attestation_id] = MemoryProver(work, seed)
    return b"".join(memory.fill())


def open_chunks(attestation_id: bytes, drawn: bytes) -> bytes:
    """The chunks picked; then the memory is let go."""
    memory = _memories.pop(attestation_id, None)
    if memory is None:
        raise AttestationError("no memory of that attestation is held: begin again")
    return memory.open(drawn)


def _under_way(attestation_id: bytes) -> "ChainProver":
    chain = _chains.get(attestation_id)
    if chain is None:
        raise AttestationError("that attestation is not under way any more: begin again")
    return chain
