"""The console's grammar: what a line means, and where it is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalesced.repl.expect import COMPARISONS, ExpectError, parse_expectation
from coalesced.repl.grammar import GrammarError, Line, parse, quote

QUANTITIES = ("peers", "contacts", "tasks.completed")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", Line()),
        ("   \t ", Line()),
        ("# a remark", Line()),
        ("peers", Line(("peers",))),
        ("  peers   ls ", Line(("peers", "ls"))),
        ("ask risk 'two words'", Line(("ask", "risk", "two words"))),
        ('ask risk "two words"', Line(("ask", "risk", "two words"))),
        ("ask ''", Line(("ask", ""))),
        ("say a'b'\"c\"d", Line(("say", "abcd"))),
        (r"say a\ b", Line(("say", "a b"))),
        (r'say "a \" b \\ c"', Line(("say", 'a " b \\ c'))),
        (r"say 'a \ b'", Line(("say", r"a \ b"))),
        ("why t1 # because", Line(("why", "t1"))),
        ("say a#b", Line(("say", "a#b"))),
        ("peers | json", Line(("peers",), as_json=True)),
        ("peers|json", Line(("peers",), as_json=True)),
        ("why t1 > out.txt", Line(("why", "t1"), into_file="out.txt")),
        ("why t1 >'my file'", Line(("why", "t1"), into_file="my file")),
        ("ask risk x &", Line(("ask", "risk", "x"), in_background=True)),
        (
            "ask risk x | json > o.json &",
            Line(("ask", "risk", "x"), as_json=True, into_file="o.json", in_background=True),
        ),
        ("say 'a|b' '>' '&' '#'", Line(("say", "a|b", ">", "&", "#"))),
        ("expect peers >= 7 within 10s", Line(("expect", "peers", ">=", "7", "within", "10s"))),
        ("expect peers > 7", Line(("expect", "peers", ">", "7"))),
        ("expect peers>7", Line(("expect", "peers>7"))),
    ],
)
def test_a_line_is_understood(text: str, line: Line) -> None:
    assert parse(text) == line


@pytest.mark.parametrize(
    ("text", "column", "complaint"),
    [
        ("say 'open", 5, "never closed"),
        ('say "open', 5, "never closed"),
        ("say \\", 5, "backslash"),
        ("| json", 1, "needs a command"),
        ("> file", 1, "needs a command"),
        ("&", 1, "needs a command"),
        ("peers |", 7, "needs json"),
        ("peers | tsv", 7, "json"),
        ("peers | json | json", 14, "json"),
        ("peers >", 7, "needs a file name"),
        ("peers > ''", 7, "needs a file name"),
        ("peers > a > b", 11, "one file"),
        ("peers > a | json", 11, "json"),
        ("peers > a b", 11, "nothing may follow"),
        ("peers | json ls", 14, "nothing may follow"),
        ("peers & ls", 9, "nothing may follow"),
        ("peers & &", 9, "nothing may follow"),
    ],
)
def test_a_wrong_line_is_refused_with_the_place(text: str, column: int, complaint: str) -> None:
    with pytest.raises(GrammarError, match=complaint) as caught:
        parse(text)
    assert caught.value.column == column


def test_the_last_result_is_put_where_it_is_named() -> None:
    assert parse('ask sentiment $_ "<$_>"', last_result="two words").words == (
        "ask",
        "sentiment",
        "two words",
        "<two words>",
    )


def test_the_last_result_is_never_read_as_grammar() -> None:
    assert parse("say $_", last_result="x > /etc/passwd & | json 'y").words == ("say", "x > /etc/passwd & | json 'y")


@pytest.mark.parametrize("text", ["say '$_'", r"say \$_", r'say "\$_"'])
def test_a_quoted_dollar_stays_a_dollar(text: str) -> None:
    assert parse(text, last_result="x").words == ("say", "$_")


@given(st.lists(st.text(min_size=0, max_size=20), min_size=1, max_size=5))
def test_quoted_words_come_back_as_they_were(words: list[str]) -> None:
    line = parse(" ".join(quote(word) for word in words), last_result="never seen")
    assert line == Line(tuple(words))


def outcome(text: str, last_result: str) -> Line | GrammarError:
    try:
        return parse(text, last_result=last_result)
    except GrammarError as error:
        return error


@given(st.text(max_size=60), st.text(max_size=10))
def test_any_text_is_a_line_or_a_grammar_error(text: str, last_result: str) -> None:
    match outcome(text, last_result):
        case GrammarError(column=column):
            assert 1 <= column <= len(text)
        case line:
            assert line == Line() or line.words


# --- expect -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("peers >= 7 within 10s", "peers >= 7 within 10 s"),
        ("peers>=7", "peers >= 7 within 10 s"),
        ("contacts = 0 within 500ms", "contacts = 0 within 0.5 s"),
        ("tasks.completed > 2.5 within 2m", "tasks.completed > 2.5 within 120 s"),
        ("peers < -1 within 3", "peers < -1 within 3 s"),
    ],
)
def test_an_expectation_is_understood(words: str, shown: str) -> None:
    assert str(parse_expectation(words.split(), QUANTITIES)) == shown


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "write it as: expect peers >= 7 within 10s"),
        ("peers", "write it as"),
        ("peers 7", "write it as"),
        ("peers => 7", "write it as"),
        ("friends > 7", "choose one of peers, contacts, tasks.completed"),
        ("peers > 1.2.3", "not a number"),
        ("peers > 7 within soon", "write 500ms, 30s, 2m or 1h"),
        ("peers > 7 within 61m", "over the limit of 60m"),
    ],
)
def test_a_wrong_expectation_says_what_is_allowed(words: str, complaint: str) -> None:
    with pytest.raises(ExpectError, match=complaint):
        parse_expectation(words.split(), QUANTITIES)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("peers >= 7 on n2 within 1s", "peers >= 7 on n2 within 1 s"),
        ("peers>=7 on all", "peers >= 7 on all within 10 s"),
        ("agree", "agree == 1 within 10 s"),
        ("agree on all within 1m", "agree == 1 on all within 60 s"),
        ("agree = 0", "agree = 0 within 10 s"),
    ],
)
def test_of_several_nodes_one_or_all_may_be_meant_and_facts_need_no_number(words: str, shown: str) -> None:
    assert str(parse_expectation(words.split(), QUANTITIES, facts=["agree"], nodes=["n1", "n2"])) == shown


def test_what_is_no_node_is_refused_and_a_console_has_one_node() -> None:
    with pytest.raises(ExpectError, match="'n3' is no node here: all, n1"):
        parse_expectation(["peers", ">", "1", "on", "n3"], QUANTITIES, nodes=["n1"])
    with pytest.raises(ExpectError, match="a console talks to one node"):
        parse_expectation(["peers", ">", "1", "on", "all"], QUANTITIES)
    with pytest.raises(ExpectError, match="write it as"):
        parse_expectation(["peers", "on", "n1"], QUANTITIES, facts=["agree"], nodes=["n1"])


@given(st.sampled_from(sorted(COMPARISONS)), st.integers(-9, 9), st.integers(-9, 9))
def test_an_expectation_compares_as_python_does(comparison: str, value: int, number: int) -> None:
    expected = eval(f"{value} {'==' if comparison == '=' else comparison} {number}")
    assert parse_expectation(["peers", comparison, str(number)], QUANTITIES).holds(value) is expected


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_an_error(text: str) -> None:
    try:
        seconds = parse_expectation(["peers", ">", "1", "within", text], ["peers"]).within_s
    except ExpectError:
        return
    assert 0 <= seconds <= 3600
