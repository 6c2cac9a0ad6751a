"""A process of its own for what computes long: range proofs and attestations. Started when first needed."""

import asyncio
import contextlib
import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from node.attestation.work import AttestationError
from node.errors import DeadlineError, NodeError
from node.proofs.errors import ProofError


class ProofWorker:
    """Runs one function at a time, in order. `close` ends the process."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    async def call(self, work: Callable[..., Any], *arguments: object, timeout_s: float) -> Any:
        """`work(*arguments)`, a function of a module, in the process; what it keeps in its module stays there.

        ProofError and AttestationError pass; DeadlineError, and an end to the process, when it takes too long.
        """
        async with self._lock:
            exchange = asyncio.get_running_loop().run_in_executor(None, self._exchange, (work, arguments), timeout_s)
            try:
                good, value = await asyncio.shield(exchange)
            except asyncio.CancelledError:
                exchange.add_done_callback(lambda done: done.exception())  # nobody is left to hear of the broken pipe
                self._kill()
                raise
        if good:
            return value
        if isinstance(value, ProofError | AttestationError):
            raise value
        raise NodeError(f"the process for proofs failed: {value}")

    def close(self) -> None:
        """End the process; the next call starts another."""
        self._kill()

    def _exchange(self, order: object, timeout_s: float) -> tuple[bool, Any]:
        pipe = self._pipe if self._process is not None and self._process.is_alive() else None
        try:
            pipe = pipe or self._start()
            pipe.send(order)
            if not pipe.poll(timeout_s):
                self._kill()
                raise DeadlineError(f"a proof took longer than {timeout_s:g} s")
            answer: tuple[bool, Any] = pipe.recv()
        except (EOFError, OSError) as error:
            self._kill()
            raise NodeError("the process for proofs ended") from error
        return answer

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")  # a fork would take the daemon's sockets and locks along
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        return self._pipe

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join(1.0)


def serve(pipe: Connection) -> None:
    """The process's whole life: until the daemon is gone."""
    with contextlib.suppress(EOFError, KeyboardInterrupt, OSError):
        while True:
            work, arguments = pipe.recv()
            try:
                answer: tuple[bool, object] = True, work(*arguments)
            except (ProofError, AttestationError) as error:
                answer = False, error
            except Exception:  # noqa: BLE001  # the edge of a process: whatever it is must reach the daemon
                answer = False, traceback.format_exc(limit=-2)
            pipe.send(answer)
