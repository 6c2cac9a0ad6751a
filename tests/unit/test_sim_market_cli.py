"""`coalesced sim`: tables, JSON, and clear errors; no node is needed."""

import io
import json
from pathlib import Path

import pytest

from coalesced.cli.face import Face
from coalesced.cli.main import run


def called(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run(["sim", *arguments], Face(out=out, err=err))
    return code, out.getvalue(), err.getvalue()


TINY = ("--seeds", "2", "--workers", "1", "--set", "tasks=20")


def test_each_policy_is_a_line_with_its_intervals() -> None:
    code, out, _ = called("run", "parity-40", "--policy", "expected-cost,oracle", *TINY)
    assert code == 0
    lines = [line.split("\t") for line in out.splitlines()]
    assert [line[:2] for line in lines] == [["parity-40", "expected-cost"], ["parity-40", "oracle"]]
    assert lines[1][4] == "0.0 (0.0 to 0.0)"  # the oracle's regret


def test_scenarios_are_compared_in_one_go() -> None:
    code, out, _ = called("compare", "parity", "leechers", "--policy", "local", *TINY)
    assert code == 0
    assert [line.split("\t")[0] for line in out.splitlines()] == ["parity", "leechers"]


def test_json_names_its_schema_and_holds_the_figures() -> None:
    code, out, _ = called("run", "parity", "--policy", "oracle", "--json", *TINY)
    assert code == 0
    found = json.loads(out)
    assert found["schema"] == "coalesced.simulation/1"
    assert found["rules"]["oracle"]["regret"] == {"mean": 0.0, "low": 0.0, "high": 0.0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "parityy"), "nearest: parity"),
        (("run", "parity", "--policy", "ucb9"), "ucb1"),
        (("run", "parity", "--policy", ","), "--policy is empty"),
        (("run", "parity", "--set", "colour=red"), "local_scale"),
        (("run", "parity", "--set", "clients=many"), "clients"),
        (("run", "parity", "--set", "spoofers=0.9", "--set", "leechers=0.9"), "more than 1"),
    ],
)
def test_a_wrong_call_is_told_what_to_write(arguments: tuple[str, ...], said: str) -> None:
    code, _, err = called(*arguments)
    assert code == 2
    assert said in err


def test_pictures_are_drawn_or_their_need_is_named(tmp_path: Path) -> None:
    code, _, err = called("run", "parity", "--policy", "local", "--plots", str(tmp_path), *TINY)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        assert code == 1
        assert "coalesced[sim]" in err
    else:
        assert code == 0
        assert (tmp_path / "parity.png").read_bytes().startswith(b"\x89PNG")


def test_the_list_names_scenarios_and_policies() -> None:
    code, out, _ = called("list", "--json")
    assert code == 0
    assert "parity-40" in json.loads(out)["scenarios"]
    assert "oracle" in json.loads(out)["policies"]
