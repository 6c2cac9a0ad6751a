"""Many simulations at once: jobs of whole numbers of runs, done here, by processes, or on a dask cluster.

A job is the unit of work and fixes what is drawn in it, so the result does not depend on who does it or how many do.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from coalesced.sim.market.binding import SIMULATED
from coalesced.sim.market.metrics import Summary, joined, summarise
from coalesced.sim.market.rules import rule
from coalesced.sim.market.run import simulate
from coalesced.sim.market.scenario import Scenario
from node.decision.policies.settings import PolicyConfig

RUNS_PER_JOB: Final = 20
"""The paper's runs a row: fewer would leave numpy too little to do at a time."""
CLUSTER_TIMEOUT_S: Final = 10.0
"""For a scheduler to answer, and for its first worker to be there."""

Progress = Callable[[int, int], None]
"""Called with (jobs done, jobs in all)."""


class ClusterError(Exception):
    """The dask cluster cannot be used: what is missing and what to do."""


@dataclass(frozen=True, slots=True)
class Job:
    """Some runs of one scenario under one rule."""

    scenario: Scenario
    rule: str
    seed: int
    start: int
    stop: int
    settings: PolicyConfig = field(default=SIMULATED)


def split(scenario: Scenario, name: str, seed: int, runs: int, settings: PolicyConfig = SIMULATED) -> list[Job]:
    """`runs` runs of a scenario under a rule, as jobs."""
    return [
        Job(scenario, name, seed, start, min(start + RUNS_PER_JOB, runs), settings)
        for start in range(0, runs, RUNS_PER_JOB)
    ]


def do(job: Job) -> Summary:
    """Run a job here."""
    log = simulate(job.scenario, rule(job.rule, job.settings), job.seed, range(job.start, job.stop))
    return summarise(log)


def run_jobs(
    jobs: Sequence[Job], *, workers: int | None = None, cluster: str | None = None, progress: Progress | None = None
) -> list[Summary]:
    """The summaries of the jobs, in their order.

    `workers` None: one process a core; 1: in this process. `cluster`: the address of a dask scheduler, whose workers
    must have this package. Raises ClusterError when there is none, or dask is not installed.
    """
    done: list[Summary] = []
    for summary in _results(jobs, workers, cluster):
        done.append(summary)
        if progress is not None:
            progress(len(done), len(jobs))
    return done


def run_grouped(
    groups: Sequence[Sequence[Job]],
    *,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> list[Summary]:
    """One summary for each group of jobs, all groups being run at once."""
    flat = run_jobs([job for group in groups for job in group], workers=workers, cluster=cluster, progress=progress)
    summaries, at = [], 0
    for group in groups:
        summaries.append(joined(flat[at : at + len(group)]))
        at += len(group)
    return summaries


def _results(jobs: Sequence[Job], workers: int | None, cluster: str | None) -> Iterator[Summary]:
    if cluster is not None:
        yield from _on_cluster(jobs, cluster)
        return
    count = min(len(jobs), workers or os.cpu_count() or 1)
    if count <= 1:
        yield from map(do, jobs)
        return
    # spawn: the same start on every system, and no copied locks.
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        yield from pool.imap(do, jobs)


def _on_cluster(jobs: Sequence[Job], address: str) -> Iterator[Summary]:
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError("--cluster needs dask.distributed: pip install 'coalesced[sim]'") from error
    try:
        client = Client(address, timeout=CLUSTER_TIMEOUT_S)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(
            f"no dask scheduler answers at {address!r} ({error}); start one, or leave out --cluster"
        ) from error
    with client:
        _await_workers(client, address)
        _check_workers(client)
        # Not pure: what the cluster kept of another version of this code is no result of this one.
        for future in client.map(do, list(jobs), pure=False):
            yield _result(client, future, address)


def _await_workers(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=CLUSTER_TIMEOUT_S)
    except TimeoutError as error:
        raise ClusterError(f"the dask scheduler at {address} has no worker: start some with `dask worker`") from error


def _check_workers(client: Any) -> None:
    """Every worker must be able to make the same bits. One without this package would die of the first job."""

    # Nested, so that it travels as code and not as a name in a package that may be missing there.
    def versions() -> tuple[str, str]:
        import numpy

        import coalesced

        return coalesced.__version__, numpy.__version__

    here = versions()
    for worker, there in client.run(versions, on_error="return").items():
        if isinstance(there, BaseException):
            raise ClusterError(f"the dask worker {worker} cannot simulate ({there}): install coalesced[sim] there")
        if tuple(there) != here:
            raise ClusterError(
                f"the dask worker {worker} has coalesced {there[0]} with numpy {there[1]}, and here are {here[0]} and "
                f"{here[1]}: results would differ in their last bits; install the same versions"
            )


def _result(client: Any, future: Any, address: str) -> Summary:
    """The result of one job; ClusterError when it failed or nobody is left to do it."""
    while True:
        try:
            summary: Summary = future.result(timeout=CLUSTER_TIMEOUT_S)
        except TimeoutError:
            _await_workers(client, address)
        except Exception as error:
            # Whatever it died of there is this run's failure.
            raise ClusterError(f"a job failed at {address}: {type(error).__name__}: {error}") from error
        else:
            return summary
