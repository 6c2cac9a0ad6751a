"""What people read and type: units both ways, harmless text, decisions in words."""

import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coalesced.cli import units
from coalesced.cli.escape import escaped, escaped_block
from coalesced.cli.explain import best_of_each, headline, judged, outcome, sentences, table_lines
from coalesced.cli.params import DURATION, MONEY, SIZE
from coalesced.cli.request import read_plan
from coalesced.control import shapes
from coalesced.control.inputs import media_type_of
from node.tasks.lifecycle import TaskState
from node.views import DecisionView, OptionRow, TaskError, TaskView

# --- units ---


@pytest.mark.parametrize(
    ("micro", "text"),
    [
        (0, "$0.00"),
        (12, "$0.000012"),
        (1_200, "$0.0012"),
        (12_345_678, "$12.35"),
        (-5_900, "-$0.0059"),
        (None, "-"),
    ],
)
def test_money_shows_at_least_two_digits(micro: int | None, text: str) -> None:
    assert units.money(micro) == text


@given(st.integers(0, 10**15))
def test_money_that_is_printed_in_full_reads_back(micro: int) -> None:
    assert units.parse_money(units.money(micro, 6)) == micro


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-1", "1e99", "0.0000001", "1,5", "0x10"])
def test_an_amount_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an amount|out of range|finer than"):
        units.parse_money(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("90", 90.0), ("30s", 30.0), ("2m", 120.0), ("1.5h", 5400.0), ("1 d", 86_400.0)],
)
def test_a_duration_is_read_in_its_unit(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1e3", "1 w", "soon", "1s2"])
def test_a_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        units.parse_duration(text)


@pytest.mark.parametrize("text", ["0", "0s", "0.0ms"])
def test_no_time_at_all_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time at all: write more"):
        units.parse_duration(text)


@pytest.mark.parametrize(("text", "count"), [("1", 1), ("512M", 2**29), ("2GiB", 2**31), ("1.5k", 1536), ("3 B", 3)])
def test_a_size_is_binary(text: str, count: int) -> None:
    assert units.parse_size(text) == count


@example("INF")
@example("9E99")
@given(st.text(max_size=12))
def test_any_text_is_a_value_or_a_refusal_that_quotes_it(text: str) -> None:
    for parse in (units.parse_money, units.parse_duration, units.parse_size):
        try:
            parse(text)
        except ValueError as refusal:
            said = str(refusal)
        else:
            said = repr(text)
        assert repr(text) in said


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0000021, "2 us"),
        (0.0123, "12 ms"),
        (1.55, "1.6 s"),
        (75, "1 min 15 s"),
        (3720, "1 h 2 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_a_duration_is_shown_in_the_unit_that_suits(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


def test_the_parameter_types_leave_defaults_alone() -> None:
    assert MONEY.convert(None, None, None) is None
    assert DURATION.convert(2.0, None, None) == 2.0
    assert SIZE.convert("1K", None, None) == 1024


# --- harmless text ---


@given(st.text())
def test_escaped_text_holds_nothing_that_steers_a_terminal(text: str) -> None:
    assert not {unicodedata.category(character) for character in escaped(text)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text(st.characters(exclude_categories=("C", "Zl", "Zp"))))
def test_ordinary_text_of_any_language_is_left_alone(text: str) -> None:
    assert escaped(text) == text


def test_a_block_keeps_its_lines_and_tabs() -> None:
    assert escaped_block("a\r\n\tb\rc\x1b") == "a\n\tb\\rc\\x1b"


@pytest.mark.parametrize("character", ["\x1b", "\x9b", "\u202e", "\u2066", "\u200b", "\ud800", "\U000e0041", "\u2028"])
def test_a_dangerous_character_becomes_its_number(character: str) -> None:
    assert f"{ord(character):x}" in escaped(character)
    assert escaped(character).isascii()


# --- decisions in words ---


def option(name: str, total_micro: int, **other: Any) -> OptionRow:
    figures = {"price_micro": total_micro, "time_micro": 0, "risk_micro": 0, "verify_micro": 0, "success_ppm": 900_000}
    return OptionRow(name=name, total_micro=total_micro, **(figures | other))


def decision(*options: OptionRow, **other: Any) -> Any:
    view = DecisionView(**({"skill": "risk", "choice": "local", "options": options, "reasons": ("Because.",)} | other))
    return msgspec.to_builtins(view)


def test_only_the_best_level_of_each_seller_is_shown_and_the_chosen_one_first() -> None:
    rows = decision(option("a", 5), option("local", 3), option("a", 2, level="full"), option("b", 1, chosen=True))[
        "options"
    ]
    assert [(row["name"], row["total_micro"]) for row in best_of_each(rows)] == [("b", 1), ("a", 2), ("local", 3)]


def test_options_that_are_out_are_named_below_the_table() -> None:
    made = decision(option("local", 7100, chosen=True), option("x\x1b", 0, feasible=False, note="over budget: $2"))
    lines = list(table_lines(made))
    assert lines[1].startswith("> local")
    assert lines[2] == "  x\\x1b is out: over budget: $2"


def test_those_who_made_no_offer_are_named_below_the_table_a_line_a_reason() -> None:
    far: shapes.NoOfferRow = {"name": "a", "did": "", "code": "region", "reason": "not asked: it is in us\x1b"}
    made = decision(option("local", 7100, chosen=True))
    made["no_offers"] = [far, {**far, "name": "b", "reason": "declined: busy"}, {**far, "name": "c"}]
    assert list(table_lines(made))[2:] == [
        "  a, c made no offer: not asked: it is in us\\x1b",
        "  b made no offer: declined: busy",
    ]


def test_small_amounts_are_shown_in_full_and_alike() -> None:
    lines = list(table_lines(decision(option("local", 12), option("b", 7_100))))
    assert "$0.000012" in lines[1]
    assert "$0.007100" in lines[2]


def test_what_rounds_to_nothing_is_not_shown_as_free_in_cents() -> None:
    assert list(table_lines(decision(option("local", 0))))[1].split()[1] == "$0.000000"


def test_a_table_of_nothing_is_its_titles() -> None:
    assert list(table_lines(decision())) == ["  option  price  +time  +risk  +verify  =total  p(good)"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (decision(option("local", 7_100, chosen=True)), "LOCAL: here, at $0.0071 expected."),
        (
            decision(option("b", 50, chosen=True), choice="outsource", contractor="b", local_micro=None),
            "OUTSOURCE to b, unverified: $0.000050 expected; this node cannot do it.",
        ),
        (decision(choice="none"), "NONE: neither this node nor any seller can do it within the limits."),
    ],
)
def test_a_decision_is_one_sentence(made: Any, said: str) -> None:
    assert headline(made) == said


def test_the_reasons_say_once_whether_it_explored() -> None:
    assert sentences(decision()) == "Because. Explored: no."
    assert sentences(decision(reasons=("Because.", "Explored: yes."))) == "Because. Explored: yes."


def test_a_failed_task_says_what_went_wrong() -> None:
    task = TaskView(
        id="ab",
        state="failed",
        skill="risk",
        created_unix_ms=1000,
        finished_unix_ms=3500,
        error=TaskError(code="no_offer", text="nobody\nsells it", exit_code=4),
    )
    assert outcome(msgspec.to_builtins(task)) == "risk: failed · took 2.5 s · nobody\\nsells it"


@pytest.mark.parametrize(
    ("state", "local_micro", "said"), [("completed", 900, True), ("completed", None, False), ("failed", 900, False)]
)
def test_a_saving_is_told_where_work_was_done_that_could_be_done_here(
    state: TaskState, local_micro: int | None, said: bool
) -> None:
    task = TaskView(id="ab", state=state, skill="risk", created_unix_ms=1, local_micro=local_micro, saving_micro=500)
    assert ("saved $0.000500 against local" in outcome(msgspec.to_builtins(task))) is said


@pytest.mark.parametrize(
    ("level", "score_ppm", "said"),
    [
        ("none", 1_000_000, "accepted without a check"),
        ("cheap", 1_000_000, "verification cheap: accepted (1.00)"),
        ("redundant", None, "verification redundant: accepted"),
    ],
)
def test_work_that_nobody_checked_is_not_called_verified(level: str, score_ppm: int | None, said: str) -> None:
    assert judged(level, "accepted", score_ppm) == said


# --- inputs ---


@pytest.mark.parametrize(
    ("name", "data", "media_type"),
    [
        ("a.json", b"{}", "application/json"),
        ("a.csv", b"", "text/csv"),
        ("stdin", b"plain", "text/plain"),
        ("stdin", b' {"a": 1}', "application/json"),
        ("stdin", b'["a"]', "application/json"),
        ("stdin", b'{"a": 1', "text/plain"),
        ("stdin", b'"a"', "text/plain"),
        ("a.txt", b'["a"]', "text/plain"),
        ("stdin", b"\xff\x00", "application/octet-stream"),
        ("a.tar.gz", b"\x1f\x8b", "application/octet-stream"),
    ],
)
def test_the_media_type_comes_from_the_name_then_the_content(name: str, data: bytes, media_type: str) -> None:
    assert media_type_of(name, data) == media_type


def test_a_plan_may_be_json_or_toml(tmp_path: Any) -> None:
    (tmp_path / "p.toml").write_text('[[step]]\nname = "a"\nfiles = ["x"]\n')
    (tmp_path / "p.json").write_text('{"step": [{"name": "a", "files": ["x"]}]}')
    expected = ('{"step":[{"name":"a","files":["x"]}]}', ["x"])
    assert read_plan(tmp_path / "p.toml") == read_plan(tmp_path / "p.json") == expected


@pytest.mark.parametrize("plan", ["[]", "3", "{}", '{"step": 3}', '{"step": [3, {"files": 4}, {"files": [5, "x"]}]}'])
def test_a_plan_of_any_shape_is_passed_on_for_the_daemon_to_refuse(tmp_path: Any, plan: str) -> None:
    (tmp_path / "p.json").write_text(plan)
    assert set(read_plan(tmp_path / "p.json")[1]) <= {"x"}
