"""The fuzzer finds what is planted, and repeats it."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz import corpus, scripts
from tests.fuzz.__main__ import main
from tests.fuzz.campaign import WARM_ROUNDS, Campaign, draw, mutator_of
from tests.fuzz.limits import MIB
from tests.fuzz.mutate import Mutator
from tests.fuzz.target import Form, Parse, Target, plain
from tests.fuzz.targets import BY_NAME

SEEDS = [b'{"number": 5, "words": ["a"]}', b'{"number": 7}']
ROUNDS = WARM_ROUNDS + 2
kept: list[bytearray] = []


def raises_on_a_high_byte(data: bytes) -> None:
    """ValueError is allowed, KeyError is the bug."""
    if data[:1] > b"\x80":
        raise KeyError(data[0])
    raise ValueError


def never_ends(data: bytes) -> None:
    """On a brace, as the seeds begin."""
    while data.startswith(b"{"):
        pass


def hides_its_hang(data: bytes) -> None:
    """Catches everything, as an event loop does."""
    try:
        never_ends(data)
    except BaseException:  # noqa: BLE001  the point of it
        return


def keeps_all(data: bytes) -> None:
    """Never forgets anything."""
    kept.append(bytearray(4 * MIB))


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Parse], Target]:
    monkeypatch.setattr(corpus, "ROOT", tmp_path)

    def plant(parse: Parse) -> Target:
        target = Target(
            name="planted", form="bytes", opened=plain(parse), seeds=lambda: SEEDS, may_raise=(ValueError,), cpu_s=0.05
        )
        assert corpus.make(target) == sum(map(len, SEEDS))
        return target

    return plant


def test_an_unexpected_error_is_found_once_and_drawn_again(planted: Callable[[Parse], Target]) -> None:
    target = planted(raises_on_a_high_byte)
    report = Campaign([target], 3, time.monotonic() + 60, ROUNDS).run(2000)
    (case,) = report.cases
    assert report.inputs == 2000
    assert "KeyError" in case.finding.what
    assert case.command == f"scripts/fuzz --target planted --seed 3 --only {case.index}"
    assert draw(target, mutator_of(target), 3, case.index) == case.finding.data


@pytest.mark.parametrize("parse", [never_ends, hides_its_hang])
def test_a_hang_is_found(planted: Callable[[Parse], Target], parse: Parse) -> None:
    report = Campaign([planted(parse)], 1, time.monotonic() + 60, ROUNDS).run(ROUNDS)
    assert report.cases
    assert "hang" in report.cases[0].finding.what


def test_memory_that_is_kept_is_found(planted: Callable[[Parse], Target]) -> None:
    target = planted(keeps_all)
    try:
        report = Campaign([target], 1, time.monotonic() + 60, ROUNDS).run(40)
    finally:
        kept.clear()
    assert not report.is_flat
    assert report.peak_bytes > 100 * MIB


@pytest.mark.parametrize("form", ["bytes", "text", "msgpack", "json", "script"])
def test_equal_seeds_draw_equal_inputs_within_the_limit(form: Form) -> None:
    seeds = {"msgpack": [b"\x82\xa1t\xa4ping\xa1b\xc4\x02xy"], "script": [scripts.encode([(0, b"\x80"), (1, b"x")])]}
    target = Target(name="any", form=form, opened=plain(never_ends), seeds=lambda: SEEDS)
    mutator = Mutator(form, seeds.get(form, SEEDS), 1000)
    drawn = [draw(target, mutator, 1, index) for index in range(300)]
    assert drawn == [draw(target, mutator, 1, index) for index in range(300)]
    assert drawn != [draw(target, mutator, 2, index) for index in range(300)]
    assert len(set(drawn)) > 150
    assert max(map(len, drawn)) <= 1000


def test_any_bytes_are_a_script() -> None:
    steps = [(0, b"abc"), (9, b""), (255, b"x" * 1000)]
    assert scripts.decode(scripts.encode(steps)) == steps
    assert scripts.decode(b"\0") == []
    assert scripts.decode(b"\1\0\5ab") == [(1, b"ab")]


def test_the_command_line_runs_and_repeats(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--target", "hello", "--runs", "200", "--seed", "5"]) == 0
    assert "0 findings" in capsys.readouterr().out
    assert main(["--target", "hello", "--only", "7"]) == 0
    assert "handled" in capsys.readouterr().out
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.count("\n") == len(BY_NAME)
