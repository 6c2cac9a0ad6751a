"""The builtin skills: right answers, honest efforts, checks that catch what was made up."""

import importlib
import json
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from node.execute import corpus
from node.execute.builtin.document_analysis import task as document_analysis
from node.execute.builtin.portfolio import task as portfolio
from node.execute.builtin.risk import task as risk
from node.execute.builtin.sentiment import task as sentiment
from node.execute.builtin.sentiment.score import score
from node.execute.catalogue import PACKAGES, SKILLS
from node.execute.errors import InputError
from node.execute.skill import JSON, Skill
from node.tasks.verify import Finding
from protocol.specification import EFFORTS, Effort, Level

CASES = {
    "document-analysis": corpus.analysis_case(7, pages=8, questions=6),
    "portfolio": corpus.portfolio_case(7, assets=40, points=6),
    "risk": corpus.risk_case(7, assets=5, paths=65_536, horizon=5),
    "sentiment": corpus.sentiment_case(7, texts=10),
}
SEED = bytes(range(32))
LABELS = sorted(CASES)


def work(case: corpus.Case, effort: Effort = "full") -> bytes:
    module = importlib.import_module(f"{PACKAGES[case.label]}.work")
    output: bytes = module.run(case.input, case.media_type, effort, lambda done_ppm, text: None)
    return output


def check(case: corpus.Case, output: bytes, level: Level = "full", seed: bytes = SEED) -> Finding:
    module = importlib.import_module(f"{PACKAGES[case.label]}.check")
    finding: Finding = module.check(case.input, case.media_type, output, level=level, seed=seed)
    return finding


def skill_of(label: str) -> Skill:
    return next(skill for skill in SKILLS if skill.label == label)


def changed(output: bytes, change: Callable[[Any], None]) -> bytes:
    value = json.loads(output)
    change(value)
    return json.dumps(value).encode()


@pytest.mark.parametrize("level", ["cheap", "full"])
@pytest.mark.parametrize("label", LABELS)
def test_full_effort_is_accepted_and_less_is_scored_lower(label: str, level: Level) -> None:
    case, bars = CASES[label], skill_of(label).min_score_ppm
    scores = {effort: check(case, work(case, effort), level).score_ppm for effort in skill_of(label).efforts}
    assert scores["full"] >= bars["full"] > scores["cheap"] >= bars["cheap"] > scores["cheapest"]


@pytest.mark.parametrize("label", LABELS)
def test_the_same_input_gives_the_same_bytes(label: str) -> None:
    assert work(CASES[label]) == work(CASES[label])


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.label)
def test_each_skills_own_example_works_and_is_measured(skill: Skill) -> None:
    case = corpus.Case(skill.label, skill.example, media_type=skill.example_media_type)
    assert skill.size(case.input, case.media_type) > 0
    assert check(case, work(case)).score_ppm >= skill.min_score_ppm["full"]


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.label)
def test_progress_rises_and_stays_within_the_whole(skill: Skill) -> None:
    seen: list[int] = []
    module = importlib.import_module(f"{PACKAGES[skill.label]}.work")
    case = CASES[skill.label]
    module.run(case.input, case.media_type, "full", lambda done_ppm, text: seen.append(done_ppm))
    assert seen
    assert seen == sorted(seen)
    assert 0 <= seen[0] <= seen[-1] <= 1_000_000


@pytest.mark.parametrize("label", LABELS)
def test_a_probe_is_valid_input(label: str) -> None:
    case = corpus.probe(label)
    assert skill_of(label).size(case.input, case.media_type) > 1_000


# risk


def test_value_at_risk_and_shortfall_are_near_the_closed_form() -> None:
    case = corpus.risk_case(1, assets=4, paths=400_000, horizon=4)
    task, result = json.loads(case.input), json.loads(work(case))
    positions = np.array(list(task["positions"].values()))
    mean = -4 * np.dot(task["means"], positions)
    deviation = math.sqrt(4 * positions @ np.array(task["covariance"]) @ positions)
    quantile = NormalDist().inv_cdf(0.99)
    shortfall = mean + deviation * NormalDist().pdf(quantile) / 0.01
    assert result["value_at_risk"] == pytest.approx(mean + deviation * quantile, rel=0.02)
    assert result["expected_shortfall"] == pytest.approx(shortfall, rel=0.02)
    assert sum(result["components"].values()) == pytest.approx(result["expected_shortfall"])


def test_student_returns_have_the_heavier_tail() -> None:
    thin = json.loads(work(corpus.risk_case(1, assets=4, paths=100_000, horizon=1)))
    heavy = json.loads(work(corpus.risk_case(1, assets=4, paths=100_000, horizon=1, distribution="student")))
    assert heavy["expected_shortfall"] > 1.1 * thin["expected_shortfall"]


def test_a_history_of_returns_serves_instead_of_moments() -> None:
    history = corpus.returns(np.random.default_rng(1), 3, 300).tolist()
    task = {"positions": [1.0, 2.0, 3.0], "returns": history, "paths": 20_000}
    case = corpus.Case("risk", json.dumps(task).encode())
    assert check(case, work(case)).score_ppm >= 950_000


@pytest.mark.parametrize(
    ("positions", "covariance"),
    [
        ([100.0, 0.0], [[0.0, 0.0], [0.0, 1.0]]),
        ([100.0, -100.0], [[1.0, 1.0], [1.0, 1.0]]),
        ([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]]),
    ],
)
def test_a_portfolio_without_risk_is_answered_without_a_simulation(
    positions: list[float], covariance: list[list[float]]
) -> None:
    task = {"positions": positions, "means": [-0.01, 0.0], "covariance": covariance, "horizon": 2, "paths": 1_000}
    with pytest.raises(InputError, match=f"it loses {0.02 * positions[0]:g} whatever happens"):
        work(corpus.Case("risk", json.dumps(task).encode()))


def test_blocks_that_were_made_up_are_found_when_they_are_repeated() -> None:
    case = CASES["risk"]
    cheap = json.loads(work(case, "cheap"))

    def pretend(result: dict[str, Any]) -> None:
        # The honest quarter, shown three times more as if it were the rest.
        result["blocks"] = cheap["blocks"] * 4
        result["paths"] = cheap["paths"] * 4
        for key in ("value_at_risk", "expected_shortfall", "expected_drawdown", "components"):
            result[key] = cheap[key]

    faked = changed(work(case), pretend)
    found = check(case, faked)
    assert found.score_ppm == 0
    assert "repeated gives" in found.reasons[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r.update(value_at_risk=r["value_at_risk"] * 1.2), "closed form"),
        (lambda r: r.update(expected_shortfall=r["expected_shortfall"] * 1.01), "mean of the tail"),
        (lambda r: r.update(expected_drawdown=0.0), "mean of the blocks"),
        (lambda r: r.update(paths=r["paths"] * 2), "number of paths"),
        (lambda r: r.update(confidence=0.95), "another confidence"),
        (lambda r: r.update(components={}), "components"),
        (lambda r: r.update(blocks=[]), "blocks"),
        (lambda r: r.update(value_at_risk="much"), "not a risk result"),
    ],
)
def test_a_changed_risk_result_is_refused(change: Callable[[Any], None], reason: str) -> None:
    found = check(CASES["risk"], changed(work(CASES["risk"]), change))
    assert found.score_ppm == 0
    assert reason in found.reasons[0]


# portfolio


def test_two_uncorrelated_assets_have_the_weights_of_the_textbook() -> None:
    task = {"means": [0.0, 0.0], "covariance": [[0.01, 0], [0, 0.04]], "risk_aversions": [1], "assets": ["a", "b"]}
    point = json.loads(work(corpus.Case("portfolio", json.dumps(task).encode())))["points"][0]
    assert point["weights"] == {"a": pytest.approx(0.8), "b": pytest.approx(0.2)}


def test_no_random_portfolio_beats_the_certificate() -> None:
    case = CASES["portfolio"]
    task, result = json.loads(case.input), json.loads(work(case))
    means, covariance = np.array(task["means"]), np.array(task["covariance"])
    others = np.random.default_rng(1).dirichlet(np.full(len(means), 0.2), 2_000)
    for point in result["points"]:
        value = point["risk_aversion"] / 2 * point["variance"] - point["expected_return"]
        rivals = point["risk_aversion"] / 2 * np.einsum("ij,jk,ik->i", others, covariance, others) - others @ means
        assert value - point["gap"] <= rivals.min() + 1e-12


@pytest.mark.parametrize("task", [{"means": [0.1], "covariance": [[0.04]]}, {"returns": [[0.0, 0.0], [0.0, 0.0]]}])
def test_one_asset_and_markets_that_never_move_have_an_answer(task: dict[str, Any]) -> None:
    case = corpus.Case("portfolio", json.dumps(task).encode())
    assert check(case, work(case)).score_ppm >= 950_000


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r["points"][0].update(weights={"0": 1.0}), "not"),
        (lambda r: r["points"][0].update(weights={"0": 1.5, "1": -0.5}), "negative"),
        (lambda r: r["points"][0].update(weights={"ghost": 1.0}), "unknown asset"),
        (lambda r: r["points"][0].update(gap=1.0), "gap is"),
        (lambda r: r["points"].pop(), "not those of the risk aversions"),
    ],
)
def test_a_changed_portfolio_is_refused(change: Callable[[Any], None], reason: str) -> None:
    found = check(CASES["portfolio"], changed(work(CASES["portfolio"]), change))
    assert found.score_ppm == 0
    assert reason in found.reasons[0]


# document analysis


def test_planted_facts_are_found_and_cited_where_they_stand() -> None:
    case = CASES["document-analysis"]
    task, result = json.loads(case.input), json.loads(work(case))
    documents = {document["name"]: document["text"] for document in task["documents"]}
    for expected, answer in zip(case.expected, result["answers"], strict=True):
        assert str(expected) in answer["answer"]
        for citation in answer["citations"]:
            text = documents[citation["document"]]
            assert text[citation["start_char"] : citation["end_char"]] == citation["quote"]


def test_byte_offsets_count_utf8() -> None:
    task = {"questions": ["Who audits?"], "documents": [{"name": "d", "text": "Ünïcode ñ.\n\nHale audits here."}]}
    case = corpus.Case("document-analysis", json.dumps(task).encode())
    citation = json.loads(work(case))["answers"][0]["citations"][0]
    raw = task["documents"][0]["text"].encode()  # type: ignore[index]
    assert raw[citation["start_byte"] : citation["end_byte"]].decode() == citation["quote"] == "Hale audits here."
    assert check(case, work(case)).score_ppm == 1_000_000


def test_a_question_without_an_answer_is_said_to_have_none() -> None:
    task = {"questions": ["zebra?"], "documents": [{"name": "d", "text": "Nothing of the kind."}]}
    case = corpus.Case("document-analysis", json.dumps(task).encode())
    answer = json.loads(work(case))["answers"][0]
    assert (answer["answer"], answer["citations"]) == ("", [])
    assert check(case, work(case)).score_ppm == 1_000_000


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r["answers"][0]["citations"][0].update(quote="made up"), "is not there"),
        (lambda r: r["answers"][0]["citations"][0].update(start_byte=0), "byte offsets"),
        (lambda r: r["answers"][0]["citations"][0].update(document="ghost"), "no document"),
        (lambda r: r["answers"][0]["citations"][0].update(score=999.0), "scores"),
        (lambda r: r["answers"][0].update(answer="42"), "not in the first passage cited"),
        (lambda r: r["answers"][0].update(answer=""), "not the cited sentence"),
        (lambda r: r["answers"][0]["citations"].append(r["answers"][0]["citations"][0]), "are cited where"),
        (lambda r: r["answers"].pop(), "not to the questions"),
        (lambda r: r["statistics"].update(passages=3), ""),
    ],
)
def test_a_changed_analysis_is_refused(change: Callable[[Any], None], reason: str) -> None:
    found = check(CASES["document-analysis"], changed(work(CASES["document-analysis"]), change))
    assert found.score_ppm == 0
    assert reason in found.reasons[0]


def test_claiming_to_have_read_everything_does_not_help_who_did_not() -> None:
    case = CASES["document-analysis"]
    pretending = changed(work(case, "cheap"), lambda result: result["statistics"].update(read_ppm=1_000_000))
    assert check(case, pretending, "cheap").score_ppm < skill_of("document-analysis").min_score_ppm["cheap"]


# sentiment


def leave_out_all_sentences(result: Any) -> None:
    result["score"] = 0
    for text in result["texts"]:
        text.update(score=0, sentences=[])


@pytest.mark.parametrize(
    ("sentence", "sign"),
    [
        ("The film was wonderful.", 1),
        ("The film was not wonderful.", -1),
        ("I cannot say that it was good.", -1),
        ("It is not bad at all!", 1),
        ("The plot was dull, but the ending was absolutely brilliant.", 1),
        ("Although some called it boring, the film was extremely charming.", 1),
        ("The box holds a cable.", 0),
        ("", 0),
    ],
)
def test_sentences_have_the_feeling_that_a_reader_sees(sentence: str, sign: int) -> None:
    value = score(sentence)
    assert (value > 0) - (value < 0) == sign


def test_intensity_capitals_and_exclamation_marks_count() -> None:
    assert score("Slightly good.") < score("Good.") < score("Very good.") < score("Very good!!!")
    assert score("It was GREAT.") > score("It was great.")


def test_full_effort_agrees_with_labels_more_often_than_less_effort() -> None:
    case = CASES["sentiment"]
    right = []
    for effort in EFFORTS[:2]:
        result = json.loads(work(case, effort))
        values = [sentence[2] for text in result["texts"] for sentence in text["sentences"]]
        signs = [(value > 0) - (value < 0) for value in values]
        right.append(sum(sign == label for sign, label in zip(signs, case.expected, strict=True)) / len(signs))
    assert right[0] > 0.85 > right[1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r.update(score=r["score"] + 1), "not the mean"),
        (lambda r: r["texts"][0].update(score=999), "not the mean of its sentences"),
        (lambda r: r["texts"].pop(), "results for"),
        (lambda r: r["texts"][0]["sentences"].insert(0, [0, 10**9, 0]), "outside"),
        (leave_out_all_sentences, "no sentence"),
    ],
)
def test_a_changed_sentiment_is_refused(change: Callable[[Any], Any], reason: str) -> None:
    found = check(CASES["sentiment"], changed(work(CASES["sentiment"]), change))
    assert found.score_ppm == 0
    assert reason in found.reasons[0]


# inputs


def test_text_and_envelopes_are_taken_where_text_makes_sense() -> None:
    assert sentiment.parse(b"Good.", "text/plain").texts == ("Good.",)
    assert sentiment.parse(b"Good.", "text/markdown").texts == ("Good.",)
    envelope = b'{"text": "Who?", "files": [{"name": "a", "text": "Hale."}, {"name": "b", "base64": "T2s="}]}'
    assert sentiment.parse(envelope, JSON).texts == ("Who?", "Hale.", "Ok")
    analysis = document_analysis.parse(envelope, JSON)
    assert analysis.questions == ("Who?",)
    assert [document.name for document in analysis.documents] == ["a", "b"]
    assert document_analysis.parse(b"Who?\n\nHale.", "text/plain").documents[0].text == "Hale."
    inner = json.dumps({"files": [{"name": "p.json", "media_type": JSON, "text": risk.EXAMPLE.decode()}]}).encode()
    assert risk.parse(inner, JSON) == risk.parse(risk.EXAMPLE, JSON)


@pytest.mark.parametrize(
    ("parse", "input_bytes", "media_type", "message"),
    [
        (risk.parse, b"hello", JSON, "not JSON"),
        (risk.parse, b"{}", JSON, "`positions`"),
        (risk.parse, b"x", "image/png", "not 'image/png'"),
        (risk.parse, b'{"positions": {}, "means": [], "covariance": []}', JSON, "0 assets"),
        (risk.parse, b'{"positions": [1], "means": [0, 0], "covariance": [[1]]}', JSON, "means row 0 has 2 numbers"),
        (risk.parse, b'{"positions": [1], "means": [0]}', JSON, "either means and covariance, or returns"),
        (risk.parse, b'{"positions": [1], "means": [0], "covariance": [[1]], "paths": 1}', JSON, "paths"),
        (risk.parse, b'{"positions": [1], "means": [0], "covariance": [[1]], "pahts": 1}', JSON, "pahts"),
        (portfolio.parse, b'{"means": [0, 0], "covariance": [[1, 0]]}', JSON, "1 rows for 2 assets"),
        (portfolio.parse, b'{"returns": [[1, 2]]}', JSON, "returns has 1 rows"),
        (portfolio.parse, b'{"means": [0], "covariance": [[1]], "risk_aversions": [0]}', JSON, "risk_aversions"),
        (sentiment.parse, b"  ", "text/plain", "no text to judge"),
        (sentiment.parse, b"\xff", "text/plain", "not UTF-8"),
        (document_analysis.parse, b"only a question?", "text/plain", "a question and a document"),
        (
            document_analysis.parse,
            b'{"text": "q", "files": [{"name": "a", "base64": "/w=="}]}',
            JSON,
            "'a' is not text",
        ),
        (
            document_analysis.parse,
            b'{"questions": ["q"], "documents": [{"name": "a", "text": "x"}, {"name": "a", "text": "y"}]}',
            JSON,
            "same name",
        ),
    ],
)
def test_malformed_input_says_what_is_expected(
    parse: Callable[[bytes, str], object], input_bytes: bytes, media_type: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        parse(input_bytes, media_type)


def test_a_matrix_that_is_no_covariance_is_refused_by_the_work() -> None:
    for covariance, message in (([[1.0, 2.0], [2.0, 1.0]], "semidefinite"), ([[1.0, 0.5], [0.0, 1.0]], "symmetric")):
        for label, extra in (("risk", {"positions": [1.0, 1.0], "paths": 1_000}), ("portfolio", {})):
            task = {"means": [0.0, 0.0], "covariance": covariance, **extra}
            with pytest.raises(InputError, match=message):
                work(corpus.Case(label, json.dumps(task).encode()))
