"""Words, vectors and anchors: the same everywhere, and near what means the same."""

import random
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import UsageError
from node.skills.meaning.anchors import anchors
from node.skills.meaning.embedding import Embedding, embedding
from node.skills.meaning.fit import Fit, fit
from node.skills.meaning.grams import Grams
from node.skills.meaning.learned import MOST_SHARE, NOTHING, UNIT, learned, placed, scaled
from node.skills.meaning.ontology import RELATIONS, ancestors, check_resource, has, jaccard, resources, shares, taxonomy
from node.skills.meaning.subject import subject
from node.skills.meaning.table import FILE, SHA256, TableError, read_table
from node.skills.meaning.vector import DIMENSIONS, cosine, dot
from node.skills.meaning.words import Vocabulary, words

BOTH: list[Embedding] = [embedding(), Grams()]


def test_the_packaged_table_is_the_one_of_its_checksum_and_gives_these_numbers() -> None:
    table = read_table()
    assert table.version == "minilm-static-1"
    vector = table.embed("Translate a letter into French")
    assert len(vector) == DIMENSIONS
    assert vector[:6] == (-4965, 13911, 3063, -7698, 19350, -2789)


def test_a_damaged_or_missing_table_is_refused_by_name(tmp_path: Path) -> None:
    damaged = tmp_path / "table.bin"
    damaged.write_bytes(FILE.read_bytes()[:-1] + b"?")
    with pytest.raises(TableError, match=r"table\.bin has SHA-256 .* install coalesced again"):
        read_table(damaged, SHA256)
    with pytest.raises(TableError, match=r"cannot be read: .*No such file"):
        read_table(tmp_path / "absent.bin")


def test_words_are_small_letters_without_accents_and_marks() -> None:
    assert words("Café-Crème, two_parts: 3 Straße!") == ["cafe", "creme", "two", "parts", "3", "straße"]
    assert len(words("x " * 5000)) == 400
    assert words("a" * 5000) == ["a" * 40]


def test_a_word_is_spelled_by_its_longest_known_pieces_or_not_at_all() -> None:
    texts = sorted([b"sum", b"summar", b"##ise", b"##y", b"q", b"##q", b"x"])
    pieces = Vocabulary(b"".join(texts), list(accumulate(map(len, texts))))
    assert [pieces[row] for row in range(len(pieces))] == texts
    assert [pieces.rows("summarise"), pieces.rows("summary")] == [
        [pieces.row(b"summar"), pieces.row(b"##ise")],
        [pieces.row(b"summar"), pieces.row(b"##y")],
    ]
    assert pieces.rows("sumo") == []
    assert pieces.rows("qqqq") == [], "letters mean nothing"
    assert pieces.rows("x") == [pieces.row(b"x")]


@pytest.mark.parametrize("way", BOTH, ids=lambda way: way.version)
@given(text=st.text(max_size=200))
def test_any_text_has_a_vector_and_the_order_of_its_words_does_not_matter(way: Embedding, text: str) -> None:
    vector = way.embed(text)
    assert len(vector) == DIMENSIONS
    shuffled = words(text)
    random.Random(1).shuffle(shuffled)
    assert way.embed(" ".join(shuffled)) == vector


@pytest.mark.parametrize("way", BOTH, ids=lambda way: way.version)
def test_a_text_is_nearest_to_itself_and_nearer_to_its_kind_than_to_others(way: Embedding) -> None:
    risk = way.embed("portfolio risk analysis")
    assert cosine(risk, risk) == pytest.approx(1)
    assert cosine(risk, way.embed("risk analysis of portfolios")) > 0.7 > 0.3 > cosine(risk, way.embed("draw a cat"))


def test_nothing_is_near_a_text_without_meaning() -> None:
    for text in ("", "!!!", "the of and to", "asdf qwer zxcv"):
        assert anchors().nearest(embedding().embed(text), 6) == ()
        assert anchors().published(text) == ()


def test_the_table_finds_what_shares_no_word_with_the_request() -> None:
    asked = subject("turn this article from German into English").paths
    assert asked[0] == "language_processing/language_translation"


def test_a_skill_is_published_at_three_captions_and_what_is_above_the_nearest() -> None:
    terms = anchors().published("Text Summarization. Condense text into shorter form.")
    nearest = "language_processing/language_generation/summarization"
    assert terms[0] == nearest
    assert set(ancestors(nearest)) <= set(terms)
    assert 3 <= len(terms) <= 5
    assert anchors().names(terms)[0] == f"oasf-1.1.1/minilm-static-1/{nearest}"


def test_the_taxonomy_is_whole_and_every_class_of_a_term_is_in_it() -> None:
    terms = taxonomy()
    assert len(terms) == 513
    assert all(above in terms for path in terms for above in ancestors(path))
    assert all(term.caption and term.description for term in terms.values())
    assert {path.split("/")[0] for path in resources()} == set(RELATIONS)
    assert all(above in resources() for path in resources() for above in ancestors(path))


def test_a_kind_of_what_is_needed_will_do() -> None:
    h100 = check_resource("hasResource/gpu/nvidia/h100")
    assert has([h100], "hasResource/gpu")
    assert has([h100], h100)
    assert not has(["hasResource/gpu"], h100)
    assert not has(["hasResource/gpus"], "hasResource/gpu")
    with pytest.raises(UsageError, match=r"is not a resource term of resources-1: they begin with hasResource"):
        check_resource("a lot of money")


def test_ancestors_count_partly() -> None:
    assert shares(["a/b/c"]) == {"a/b/c": 1, "a/b": 0.5, "a": 0.25}
    assert jaccard(["a/b/c"], ["a/b/c"]) == 1
    assert jaccard(["a/b/c"], ["a/b/d"]) == pytest.approx(0.75 / 2.75)
    assert jaccard(["a/b/c"], ["a/x/y"]) == pytest.approx(0.25 / 3.25)
    assert jaccard(["a"], ["b"]) == 0
    assert jaccard([], []) == 1


@given(
    st.sets(st.sampled_from(sorted(taxonomy())), max_size=4), st.sets(st.sampled_from(sorted(taxonomy())), max_size=4)
)
def test_jaccard_is_symmetric_and_bounded(one: set[str], other: set[str]) -> None:
    assert jaccard(one, other) == jaccard(other, one)
    assert 0 <= jaccard(one, other) <= 1
    assert jaccard(one, one) == 1


def test_a_seller_is_known_by_its_work_but_never_moved_further_than_half_its_text() -> None:
    way = embedding()
    text, request = way.embed("data services of all kinds"), way.embed("clean up duplicates in this table")
    offset = NOTHING
    before = cosine(placed(text, offset), request)
    for _ in range(200):
        offset = learned(offset, request, good=True)
    assert cosine(placed(text, offset), request) > before + 0.1
    assert dot(offset, offset) ** 0.5 <= UNIT * MOST_SHARE + DIMENSIONS
    for _ in range(200):
        offset = learned(offset, request, good=False)
    assert cosine(placed(text, offset), request) < before
    assert dot(offset, offset) ** 0.5 <= UNIT * MOST_SHARE + DIMENSIONS


def test_long_texts_teach_no_more_than_short_ones() -> None:
    request = embedding().embed("clean up duplicates in this table")
    long = tuple(value * 50 for value in request)
    assert scaled(long, UNIT) == scaled(request, UNIT)
    assert learned(NOTHING, long, good=True) == learned(NOTHING, request, good=True)
    assert learned(NOTHING, NOTHING, good=True) == NOTHING


def test_eq_12_refuses_what_is_no_likeness() -> None:
    assert Fit(1, 1, 1).score == pytest.approx(1)
    assert fit(["a"], ["b"], -0.4, None).score == pytest.approx(0.2 * 0.5)
    with pytest.raises(ValueError, match=r"embedding is 1\.5: write a number from 0 to 1"):
        Fit(0, 1.5, 0)
    with pytest.raises(ValueError, match="performance is nan"):
        Fit(0, 1, float("nan"))
