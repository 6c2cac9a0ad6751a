"""`coalesced priors` against a served node, and a document checked without one."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from coalesced.cli.face import Face
from coalesced.cli.main import run
from crypto.identity import Identity
from node.env import Env
from tests.harness.commandline import Terminal
from tests.harness.priors import document
from tests.harness.served_node import ServedNode, serve


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serve(tmp_path_factory.mktemp("home")) as node:
        yield node


def told(out: io.StringIO, *arguments: str, home: Path | None = None, code: int = 0) -> str:
    errors = io.StringIO()
    assert run(["priors", *arguments], Face(home=home, out=out, err=errors)) == code
    return out.getvalue() + errors.getvalue()


def test_what_is_known_is_a_line_a_seller_with_the_makers_said_below(served: ServedNode) -> None:
    out = told(Terminal(), "ls", "upper", home=served.home)
    assert "k7m2qfab" in out
    assert "market maker m4rk3tmk (named by the owner): believed by 0.64, after 3 jobs of which 1 surprised" in out
    assert "the last: it is of the network" in out
    assert "probing upper: $0.0012 of $0.0500 spent in 24 hours; 4 documents sold" in out
    assert "\x1b[31m" not in out


def test_a_pipe_gets_bare_fields_and_json_names_its_schema(served: ServedNode) -> None:
    fields = told(io.StringIO(), "ls", home=served.home).rstrip("\n").split("\t")
    assert fields[:6] == ["upper", "k7m2qfab", "m4rk3tmk", "6", "4.9", "1.0"]
    view = json.loads(told(io.StringIO(), "buy", "upper", "--from", "m4rk3tmk", "--json", home=served.home))
    assert view["schema"] == "coalesced.priors/1"
    assert view["documents"][0]["opened"] == 6


def test_nothing_sold_is_no_offer(served: ServedNode) -> None:
    assert "nobody sold anything about lower" in told(io.StringIO(), "buy", "lower", home=served.home, code=4)


def test_a_document_is_checked_without_a_node(tmp_path: Path) -> None:
    made = document(Identity(b"\x01" * 32), now_unix_ms=Env().unix_ms())
    file = tmp_path / "prior.jwt"
    file.write_text(made.token + "\n")
    found = json.loads(told(io.StringIO(), "check", str(file), "--json"))
    assert (found["schema"], found["skill"], found["expired"]) == ("coalesced.prior-check/1", "risk", False)
    assert "signed by" in told(io.StringIO(), "check", str(file))
    for other in ((made.token[:-4] + "AAAA").encode(), made.token.encode() + b"\xff", b"\xaa.\xbb.\xcc", b""):
        file.write_bytes(other)
        assert "this document does not hold" in told(io.StringIO(), "check", str(file), code=1)
