"""The attested side's limits: how often, how large, for whom, and only while the node has nothing else to do."""

from collections.abc import Callable
from typing import Any

import structlog

from crypto.identity import Identity, short_id
from node.attestation.config import AttestationConfig
from node.attestation.work import AttestationError, Work, work_seed
from node.credentials import computing
from node.credentials.worker import ProofWorker
from node.env import Env
from node.net.errors import Refusal
from node.net.session import Call
from node.proofs.asking import Questions
from node.proofs.errors import ProofError
from protocol.messages import AttestationBegun, AttestationData, AttestationRequest, AttestationStep

log = structlog.get_logger()

EVERYBODY = b""


class Attested:
    """At most one attestation at a time; a new one ends the one before."""

    def __init__(
        self,
        *,
        identity: Identity,
        env: Env,
        config: AttestationConfig,
        worker: ProofWorker,
        is_idle: Callable[[], bool],
    ) -> None:
        self._identity = identity
        self._env = env
        self._config = config
        self._worker = worker
        self._is_idle = is_idle
        self._per_peer = Questions(config.per_peer_per_day)
        self._overall = Questions(config.per_day)
        self._running: bytes | None = None
        """Whom this node computes for at this moment."""
        self._under_way: tuple[bytes, bytes, Work, bytes] | None = None
        """Attestation id, peer, work and seed."""

    async def begin(self, call: Call, request: AttestationRequest) -> AttestationBegun:
        """Do the products; Refusal when it is too much, too often, or the node is at work."""
        work = self._allowed(request)
        if self._running is not None or not self._is_idle():
            raise Refusal("busy", "this node is at work: attestations are for idle hours")
        try:
            self._per_peer.count(call.peer_key, self._env.unix_ms())
            self._overall.count(EVERYBODY, self._env.unix_ms())
        except ProofError as error:
            raise Refusal("too_many_attestations", str(error)) from error
        attestation_id = self._env.entropy(16)
        seed = work_seed(request.drawn, self._identity.public_key, call.peer_key, call.session.handshake_hash)
        self._under_way, self._running = (attestation_id, call.peer_key, work, seed), call.peer_key
        log.info("attestation.begun", peer=short_id(call.peer_key), size=work.size, rounds=work.rounds)
        try:
            roots = await self._compute(call, computing.run_chain, attestation_id, work, seed)
        finally:
            self._running = None
        return AttestationBegun(attestation_id=attestation_id, roots=tuple(roots))

    async def step(self, call: Call, step: AttestationStep) -> AttestationData:
        """One look at what was computed; Refusal for what is not this peer's, or not under way."""
        if self._under_way is None or self._under_way[:2] != (step.attestation_id, call.peer_key):
            raise Refusal("no_attestation", "that attestation is not under way any more: begin again")
        attestation_id, _, work, seed = self._under_way
        match step.step:
            case "weights":
                data = await self._compute(call, computing.project, attestation_id, step.drawn)
            case "rows":
                data = await self._compute(call, computing.open_rows, attestation_id, step.drawn)
            case "fill" if work.memory_mib:
                data = await self._compute(call, computing.fill_memory, attestation_id, work, seed)
            case "chunks" if work.memory_mib:
                data = await self._compute(call, computing.open_chunks, attestation_id, step.drawn)
            case _:
                raise Refusal("no_attestation", "no memory was asked for when this attestation began")
        return AttestationData(data=data)

    def _allowed(self, request: AttestationRequest) -> Work:
        limits = self._config
        if request.size > limits.max_size or request.rounds > limits.max_rounds:
            what = f"up to {limits.max_size} rows and {limits.max_rounds} rounds" if limits.max_size else "nothing"
            raise Refusal("not_attested", f"this node's owner lets peers test {what}")
        if request.memory_mib > limits.max_memory_mib:
            raise Refusal("not_attested", f"this node's owner lets peers fill {limits.max_memory_mib} MiB")
        try:
            return Work(request.size, request.rounds, request.memory_mib)
        except AttestationError as error:
            raise Refusal("not_attested", str(error)) from error

    async def _compute(self, call: Call, work: Callable[..., object], *arguments: object) -> Any:
        timeout_s = min(self._config.timeout_s, call.remaining_s())
        try:
            return await self._worker.call(work, *arguments, timeout_s=timeout_s)
        except AttestationError as error:
            raise Refusal("no_attestation", str(error)) from error
