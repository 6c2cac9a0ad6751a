"""Simulations on a dask cluster: a real scheduler with workers of its own. Needs `coalesced[sim]`."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from coalesced.cli.face import Face
from coalesced.cli.main import run
from coalesced.sim.market import jobs

distributed = pytest.importorskip("distributed", reason="needs coalesced[sim]")
TINY = ("run", "parity-40", "--policy", "thompson,oracle", "--seeds", "22", "--set", "tasks=30", "--json")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as started:
        yield started


def called(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    return run(["sim", *arguments], Face(out=out, err=err)), out.getvalue(), err.getvalue()


def test_a_cluster_gives_the_same_bits_as_this_process(cluster: Any) -> None:
    here = called(*TINY, "--workers", "1")
    there = called(*TINY, "--cluster", cluster.scheduler_address)
    assert here[0] == there[0] == 0
    assert here[1] == there[1]


def test_a_worker_of_another_version_is_named_and_gets_no_job(cluster: Any) -> None:
    with distributed.Client(cluster.scheduler_address) as client:
        client.run(_claim_another_version, "0.0.0")
        code, out, _ = called(*TINY, "--cluster", cluster.scheduler_address)
        client.run(_claim_another_version, None)
    assert code == 1
    assert "coalesced 0.0.0" in json.loads(out)["text"]


def _claim_another_version(version: str | None) -> None:
    import importlib

    import coalesced

    if version is None:
        importlib.reload(coalesced)
    else:
        coalesced.__version__ = version


@pytest.mark.parametrize(
    ("address", "said"),
    [("tcp://127.0.0.1:1", "no dask scheduler answers"), ("nonsense", "missing port"), ("", "''")],
)
def test_an_address_without_a_scheduler_is_refused(address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CLUSTER_TIMEOUT_S", 0.5)
    code, out, _ = called(*TINY, "--cluster", address)
    assert code == 1
    assert said in json.loads(out)["text"]


def test_a_scheduler_without_workers_is_refused_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CLUSTER_TIMEOUT_S", 0.5)
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0") as empty:
        code, out, _ = called(*TINY, "--cluster", empty.scheduler_address)
    assert code == 1
    assert "has no worker" in json.loads(out)["text"]
