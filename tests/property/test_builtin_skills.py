"""What holds for every input of the builtin skills, and for every frame."""

import importlib
import json
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from node.execute import corpus
from node.execute.builtin.document_analysis.task import Document
from node.execute.builtin.document_analysis.text import TERM, Reading, stem
from node.execute.builtin.portfolio.solver import project
from node.execute.builtin.sentiment.score import score, sentences
from node.execute.catalogue import PACKAGES, SKILLS
from node.execute.errors import InputError
from node.execute.frames import FrameError, FrameReader, encode_frame
from node.tasks.verify import check_agreement, check_form

PROSE = st.text(alphabet=st.sampled_from("abcdeABCDEÄéıİ .!?\n\n'\",-0123"), max_size=3_000)
WORDS = st.lists(st.sampled_from(["good", "bad", "not", "very", "but", ",", "film", "GREAT", "!"]), max_size=20)
SMALL = {
    "document-analysis": corpus.analysis_case(3, documents=1, pages=1, questions=2),
    "portfolio": corpus.portfolio_case(3, assets=4, points=2),
    "risk": corpus.risk_case(3, assets=2, paths=1_024, horizon=1),
    "sentiment": corpus.sentiment_case(3, texts=2, sentences=5),
}
RESULTS = {
    label: json.loads(
        importlib.import_module(f"{PACKAGES[label]}.work").run(case.input, case.media_type, "full", lambda *_: None)
    )
    for label, case in SMALL.items()
}


@given(PROSE)
def test_every_visible_character_is_in_exactly_one_sentence(text: str) -> None:
    found = list(sentences(text))
    covered = [index for start, end in found for index in range(start, end)]
    assert len(covered) == len(set(covered))
    assert {index for index, char in enumerate(text) if not char.isspace()} <= set(covered)
    for start, end in found:
        assert next(sentences(text, start)) == (start, end)


@given(WORDS)
def test_a_sentence_scores_within_the_range_and_the_same_again(words: list[str]) -> None:
    sentence = " ".join(words)
    assert -1000 <= score(sentence) <= 1000
    assert score(sentence) == score(sentence)


@given(st.one_of(PROSE, PROSE.map(lambda text: text * 3)))
def test_every_visible_character_gives_its_passage_as_reading_in_order_does(text: str) -> None:
    reading = Reading(Document(name="d", text=text))
    passages = list(reading.passages())
    assert all(before[1] <= after[0] for before, after in pairwise(passages))
    for position, char in enumerate(text):
        if not char.isspace():
            assert reading.passage_at(position) in passages


@given(PROSE)
def test_byte_offsets_point_at_the_same_place(text: str) -> None:
    reading = Reading(Document(name="d", text=text))
    assert len(reading.lowered) == len(text)
    for start, end in reading.passages():
        raw = text.encode()[reading.byte_offset(start) : reading.byte_offset(end)]
        assert raw.decode() == text[start:end]


@given(st.text(max_size=30))
def test_a_stem_is_the_beginning_of_its_word(text: str) -> None:
    for word in TERM.findall(text.lower()):
        assert word.startswith(stem(word))
        assert stem(word)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30))
def test_a_projection_is_a_portfolio_and_leaves_portfolios_alone(values: list[float]) -> None:
    weights = project(np.array(values))
    assert weights.min() >= 0
    assert abs(weights.sum() - 1) < 1e-9
    assert np.allclose(project(weights), weights, atol=1e-9)


@given(st.data(), st.sampled_from(sorted(SMALL)), st.sampled_from(["cheap", "full"]))
@settings(max_examples=150)
def test_a_check_gives_a_score_for_whatever_a_peer_puts_into_a_result(
    data: st.DataObject, label: str, level: str
) -> None:
    result = json.loads(json.dumps(RESULTS[label]))
    target, key = result, data.draw(st.sampled_from(sorted(result)))
    while isinstance(target[key], dict | list) and target[key] and data.draw(st.booleans()):
        target = target[key]
        key = data.draw(st.sampled_from(sorted(target) if isinstance(target, dict) else range(len(target))))
    leaf = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just([]), st.just({})
    )
    target[key] = data.draw(st.one_of(leaf, st.lists(leaf, max_size=3)))
    case = SMALL[label]
    check = importlib.import_module(f"{PACKAGES[label]}.check").check
    finding = check(case.input, case.media_type, json.dumps(result).encode(), level=level, seed=b"\x01" * 32)
    assert 0 <= finding.score_ppm <= 1_000_000


JSONISH = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["text", "files", "texts", "questions", "documents", "positions", "means", "returns", "name"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)


@given(
    st.one_of(st.binary(max_size=200), JSONISH.map(lambda value: json.dumps(value).encode())), st.sampled_from(SKILLS)
)
def test_any_input_is_measured_or_refused_as_input(data: bytes, skill: object) -> None:
    for media_type in ("application/json", "text/plain", "text/csv", "image/png", ""):
        try:
            assert skill.size(data, media_type) >= 0  # type: ignore[attr-defined]
        except InputError as error:
            assert str(error)  # noqa: PT017  (which of the two happens depends on the input)


@given(st.binary(max_size=300), st.sampled_from(["application/json", "text/plain", "x/y"]))
def test_any_bytes_have_a_form_and_agree_with_themselves(data: bytes, media_type: str) -> None:
    assert check_form(data, media_type).score_ppm in (0, 1_000_000)
    assert check_agreement(data, data, media_type).score_ppm == 1_000_000


@given(
    st.lists(
        st.tuples(st.dictionaries(st.text(max_size=5), st.integers(), max_size=3), st.binary(max_size=50)), max_size=5
    ),
    st.integers(1, 40),
)
def test_frames_survive_any_cutting(frames: list[tuple[dict[str, int], bytes]], piece: int) -> None:
    stream = b"".join(encode_frame(header, payload) for header, payload in frames)
    reader = FrameReader()
    found = [frame for at in range(0, len(stream), piece) for frame in reader.feed(stream[at : at + piece])]
    assert found == frames


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_an_incomplete_frame_or_a_frame_error(data: bytes) -> None:
    try:
        FrameReader().feed(data)
    except FrameError as error:
        assert str(error)  # noqa: PT017  (which of the two happens depends on the input)
