"""`coalesced market` against a served node: on a terminal, in a pipe, as JSON."""

import io
import json
from collections.abc import Iterator

import pytest

from coalesced.cli.face import Face
from coalesced.cli.main import run
from tests.harness.commandline import Terminal
from tests.harness.served_node import ServedNode, serve


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serve(tmp_path_factory.mktemp("home")) as node:
        yield node


def printed(served: ServedNode, out: io.StringIO, *arguments: str) -> str:
    assert run(["market", *arguments], Face(home=served.home, out=out, err=io.StringIO())) == 0
    return out.getvalue()


def test_the_market_is_a_line_a_skill_with_its_signs_said_below(served: ServedNode) -> None:
    out = printed(served, Terminal(), "upper")
    assert "k7m2qfab 100 %" in out
    assert "upper: cartel: prices may be agreed" in out
    assert "spoke up about 0.4 % of the innocent; it found 100 % of the guilty" in out
    assert "\x1b[31m" not in out


def test_the_market_as_json_and_in_a_pipe(served: ServedNode) -> None:
    as_json = json.loads(printed(served, io.StringIO(), "--json"))
    assert as_json["schema"] == "coalesced.market/1"
    assert as_json["markets"][0]["flags"][0]["detected_ppm"] == 1_000_000
    fields = printed(served, io.StringIO()).rstrip("\n").split("\t")
    assert fields[:5] == ["upper", "30", "3", "90", "20000"]
    assert fields[-2:] == ["k7m2qfab 100 %", "cartel"]
