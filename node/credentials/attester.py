"""The asking side of an attestation: draws, measures by its own clock, checks what was opened."""

import asyncio
from dataclasses import dataclass
from typing import Final, Literal

from node.attestation.work import SEED_BYTES, AttestationError, Work, rate_gops, work_seed
from node.credentials.inspector import asked
from node.env import Env
from node.net.session import Session
from protocol.messages import AttestationBegun, AttestationData, AttestationRequest, AttestationStep

Step = Literal["weights", "rows", "fill", "chunks"]
PROBES: Final = 5
"""Round trips measured before; the least counts, which is fairest to the prover."""
PROBE_TIMEOUT_S: Final = 5.0
TRANSFER_S: Final = 0.5
"""What sending half a megabyte of chunks may take beside the reading of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What a peer was seen to compute."""

    work: Work
    least_rtt_s: float
    elapsed_s: float
    """From the request to the commitment, by our clock."""
    rate_gops: float
    """Billions of operations a second, at least."""
    checked_s: float
    received_bytes: int
    fill_s: float | None = None
    answer_s: float | None = None
    """What filling and opening the memory took, where it was asked for."""


async def attest(session: Session, work: Work, *, own_key: bytes, env: Env, timeout_s: float) -> Attestation:
    """Put a peer to the test; AttestationError where what it opened does not hold."""
    clock = asyncio.get_running_loop().time
    least_rtt_s = min([await session.probe(PROBE_TIMEOUT_S) for _ in range(PROBES)])
    drawn = env.entropy(SEED_BYTES)
    seed = work_seed(drawn, session.peer_key, own_key, session.handshake_hash)
    request = AttestationRequest(drawn=drawn, size=work.size, rounds=work.rounds, memory_mib=work.memory_mib)
    began = clock()
    begun = await asked(session, request, AttestationBegun, timeout_s)
    elapsed_s = clock() - began

    async def step(name: Step, challenge: bytes) -> bytes:
        wanted = AttestationStep(attestation_id=begun.attestation_id, step=name, drawn=challenge)
        return (await asked(session, wanted, AttestationData, timeout_s)).data

    # Each is drawn after the answer before it: see node/attestation/prover.
    weights, rows = env.entropy(SEED_BYTES), env.entropy(SEED_BYTES)
    vectors = await step("weights", weights)
    opened = await step("rows", rows)
    from node.attestation.verifier import check_chain  # numpy, with the first attestation

    checking = clock()
    await env.offload(check_chain, work, seed, begun.roots, weights, vectors, rows, opened)
    checked_s, received = clock() - checking, len(vectors) + len(opened) + 32 * len(begun.roots)
    fill_s = answer_s = None
    if work.memory_mib:
        from node.attestation.memory import ANSWER_SHARE, check_memory

        began = clock()
        data = await step("fill", bytes(SEED_BYTES))
        fill_s = clock() - began
        places = env.entropy(SEED_BYTES)
        began = clock()
        chunks = await step("chunks", places)
        answer_s = clock() - began
        roots = [data[at : at + 32] for at in range(0, len(data), 32)]
        await env.offload(check_memory, work, seed, roots, places, chunks)
        if answer_s - least_rtt_s > ANSWER_SHARE * fill_s + TRANSFER_S:
            raise AttestationError(
                f"it took {answer_s:.2f} s to show what it had filled in {fill_s:.2f} s: it made that again"
            )
        received += len(data) + len(chunks)
    return Attestation(
        work=work,
        least_rtt_s=least_rtt_s,
        elapsed_s=elapsed_s,
        rate_gops=rate_gops(work, elapsed_s, least_rtt_s),
        checked_s=checked_s,
        received_bytes=received,
        fill_s=fill_s,
        answer_s=answer_s,
    )
