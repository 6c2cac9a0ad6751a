"""`ask` against a served node: its answer, its events, its errors, and what its options make of a request."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.harness.commandline import Ran
from tests.harness.served_node import ServedNode, serve


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serve(tmp_path_factory.mktemp("home")) as node:
        yield node


def test_an_answer_goes_to_stdout_and_its_cost_to_stderr(served: ServedNode) -> None:
    ran = Ran(served.home, "ask", "upper", "some text")
    assert (ran.code, ran.out) == (0, "SOME TEXT\n")
    (summary,) = ran.err.splitlines()
    assert summary.startswith("upper: completed by k7m2qfab · cost $0.0012 · saved $0.0059 against local · took 1.5 s")
    assert f"why: coalesced --home {served.home} why " in summary


def test_files_are_the_input(served: ServedNode, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one ")
    (tmp_path / "b.csv").write_text("two")
    ran = Ran(served.home, "ask", "upper", "-f", str(tmp_path / "a.txt"), "-f", str(tmp_path / "b.csv"))
    assert ran.out == "ONE TWO\n"


def test_the_answer_as_json_carries_the_task(served: ServedNode) -> None:
    ran = Ran(served.home, "ask", "upper", "x", "--json")
    assert ran.json["schema"] == "coalesced.answer/1"
    assert ran.json["text"] == "X"
    assert ran.err == ""


def test_the_answer_can_be_written_to_a_file(served: ServedNode, tmp_path: Path) -> None:
    ran = Ran(served.home, "ask", "upper", "x", "-o", str(tmp_path / "out"))
    assert ((tmp_path / "out").read_bytes(), ran.out) == (b"X", "")
    refused = Ran(served.home, "ask", "upper", "x", "-o", str(tmp_path / "no" / "out"))
    assert (refused.code, "cannot write" in refused.err) == (1, True)
    assert f"try: coalesced --home {served.home} task result " in refused.err


def test_streaming_prints_every_event(served: ServedNode) -> None:
    ran = Ran(served.home, "ask", "upper", "x", "--stream")
    assert [line.split()[1] for line in ran.err.splitlines()[:3]] == ["submitted", "decided", "completed"]
    as_json = [msgspec.json.decode(line) for line in Ran(served.home, "ask", "upper", "x", "--stream", "--json").lines]
    assert [line["schema"] for line in as_json] == ["coalesced.event/1"] * 3 + ["coalesced.answer/1"]


def test_an_answer_cannot_steer_the_terminal(served: ServedNode) -> None:
    ran = Ran(served.home, "ask", "upper", "red \x1b[31m, bell \x07, back \r, \u202e bidi\nnext", terminal=True)
    assert "RED \\x1b[31M, BELL \\x07, BACK \\r, \\u202e BIDI\nNEXT" in ran.out
    assert "\x1b[31" not in ran.out


def test_a_refused_skill_is_one_line_with_exit_code_2(served: ServedNode) -> None:
    ran = Ran(served.home, "ask", "summarise 40 pages")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: no skill 'summarise 40 pages'; nearest: upper, slow\n"


def test_failed_verification_is_exit_code_7_and_points_at_why(served: ServedNode) -> None:
    ran = Ran(served.home, "ask", "refuse", "x")
    assert ran.code == 7
    assert ran.err.startswith(f"error: the figures do not add up\ntry: coalesced --home {served.home} why ")


def test_an_error_as_json_is_one_object_on_stdout(served: ServedNode) -> None:
    ran = Ran(served.home, "ask", "refuse", "x", "--json")
    assert (ran.code, ran.json["code"], ran.json["exit_code"]) == (7, "verification_failed", 7)
    assert ran.err == ""


def test_a_bug_is_one_line_without_a_traceback(served: ServedNode) -> None:
    ran = Ran(served.home, "ask", "bug", "x")
    assert (ran.code, "Traceback" in ran.err) == (1, False)
    assert "a bug in the daemon (RuntimeError)" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-f", "/does/not/exist"], "cannot read /does/not/exist"),
        (["-f", "/"], "cannot read /: Is a directory"),
        (["--budget", "much"], "'much' is not an amount: write dollars"),
        (["--budget", "0.0000001"], "finer than a micro-dollar"),
        (["--deadline", "soon"], "'soon' is not a duration"),
        (["--deadline", "0s"], "is no time at all"),
        (["--private", "--privacy", "public"], "contradict each other"),
        (["--plan", __file__], "contradict each other: the steps of"),
        (["--regio", "eu"], "No such option"),
    ],
)
def test_a_wrong_option_is_a_usage_error(served: ServedNode, arguments: list[str], said: str) -> None:
    ran = Ran(served.home, "ask", "upper", "x", *arguments)
    assert (ran.code, said in ran.err) == (2, True), ran.err
    assert ran.err.startswith("error: ")


def test_options_reach_the_daemon(served: ServedNode) -> None:
    words = ["--budget", "0.01", "--value", "$2", "--deadline", "2m", "--prefer", "fast", "--private", "--effort"]
    words += ["cheap", "--region", "eu", "--region", "us", "--verify", "full", "--min-score", "0.9", "--key", "k"]
    Ran(served.home, "ask", "upper", "x", *words)
    asked = served.on_loop(lambda node: node.asked)
    assert asked is not None
    assert (asked.budget_micro, asked.value_micro, asked.deadline_s, asked.prefer) == (10_000, 2_000_000, 120.0, "fast")
    assert (asked.privacy, asked.effort, asked.regions, asked.least_level) == ("secret", "cheap", ("eu", "us"), "full")
    assert (asked.min_score_ppm, asked.idempotency_key) == (900_000, "k")


def test_large_texts_are_cut_into_pieces_that_are_done_apart(served: ServedNode, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("x" * 900 + "\n\n" + "y" * 900)
    assert Ran(served.home, "ask", "upper", "-f", str(tmp_path / "long.txt"), "--chunk", "1K").code == 0
    asked = served.on_loop(lambda node: node.asked)
    assert asked is not None
    assert (asked.split, [file.name for file in asked.files]) == (True, ["long.1.txt", "long.2.txt"])
    assert Ran(served.home, "ask", "upper", "-f", str(tmp_path / "long.txt"), "--chunk", "1M").code == 0
    asked = served.on_loop(lambda node: node.asked)
    assert asked is not None
    assert (asked.split, [file.name for file in asked.files]) == (False, ["long.txt"])


def test_no_piece_of_a_text_is_blank_or_a_crumb(served: ServedNode, tmp_path: Path) -> None:
    (tmp_path / "gap.txt").write_text("x" * 900 + "\n" * 3000 + "y" * 900)
    assert Ran(served.home, "ask", "upper", "-f", str(tmp_path / "gap.txt"), "--chunk", "1K").code == 0
    asked = served.on_loop(lambda node: node.asked)
    assert asked is not None
    assert [file.data.decode().strip()[:1] for file in asked.files] == ["x", "y"]
    ran = Ran(served.home, "ask", "upper", "-f", str(tmp_path / "gap.txt"), "--chunk", "0")
    assert (ran.code, "pieces of 0 bytes are too small: 16 at least" in ran.err) == (2, True)


def test_a_plan_needs_no_skill_and_brings_its_files_along(served: ServedNode, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(
        '[[step]]\nname = "a"\nskill = "upper"\nfiles = ["q1.txt", "sub/q2.txt", "q3.txt"]\n'
    )
    (tmp_path / "sub").mkdir()
    for name in ("q1.txt", "sub/q2.txt", "elsewhere.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "sub" / "q3.txt").write_text("given")
    Ran(served.home, "ask", "--plan", str(tmp_path / "plan.toml"), "-f", str(tmp_path / "sub" / "q3.txt"))
    asked = served.on_loop(lambda node: node.asked)
    assert asked is not None
    assert (asked.skill, "step" in msgspec.json.decode(asked.plan)) == ("plan", True)
    assert {file.name: file.data for file in asked.files} == {
        "q3.txt": b"given",
        "q1.txt": b"q1.txt",
        "sub/q2.txt": b"sub/q2.txt",
    }
    (tmp_path / "q1.txt").unlink()
    missing = Ran(served.home, "ask", "--plan", str(tmp_path / "plan.toml"), "-f", str(tmp_path / "sub" / "q3.txt"))
    assert (missing.code, f"cannot read {tmp_path}/q1.txt" in missing.err) == (2, True)


@pytest.mark.parametrize("name", ["/etc/hostname", "../outside.txt", "link.txt"])
def test_a_plan_reads_nothing_outside_its_folder(served: ServedNode, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "plan"
    folder.mkdir()
    (tmp_path / "outside.txt").write_text("private")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "p.json").write_text(msgspec.json.encode({"step": [{"name": "a", "files": [name]}]}).decode())
    ran = Ran(served.home, "ask", "--plan", str(folder / "p.json"))
    assert (ran.code, "not below its own folder" in ran.err) == (2, True)


def test_what_is_no_plan_is_refused(served: ServedNode) -> None:
    ran = Ran(served.home, "ask", "--plan", __file__)
    assert (ran.code, "is not a plan" in ran.err) == (2, True)


@pytest.mark.parametrize("option", ["--plan=x", "--split", "--key=x"])
def test_decide_offers_no_option_that_it_would_refuse(served: ServedNode, option: str) -> None:
    ran = Ran(served.home, "decide", "upper", option)
    assert (ran.code, "No such option" in ran.err) == (2, True)


def test_neither_skill_nor_plan_is_a_usage_error(served: ServedNode) -> None:
    ran = Ran(served.home, "ask")
    assert (ran.code, ran.err.startswith("error: say which skill")) == (2, True)
