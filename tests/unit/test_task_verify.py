"""Judgements and the checks that know nothing about the skill."""

import pytest

from node.tasks.verify import Finding, check_agreement, check_form, judge


def test_a_refusal_always_says_why() -> None:
    judgement = judge(Finding(400_000), min_score_ppm=500_000, cpu_s=0.1)
    assert not judgement.accepted
    assert judgement.reasons == ("score 40.0 % is under the 50.0 % asked",)


@pytest.mark.parametrize(
    ("output", "media_type", "limit", "reason"),
    [
        (b"12345", "text/plain", 4, "5 bytes, over the limit of 4"),
        (b"", "text/plain", 10, "empty"),
        (b"{", "application/json", 10, "not JSON"),
        (b"{}", "application/json", 10, "empty JSON"),
        (b"null", "application/json", 10, "empty JSON"),
        (b"\xff", "text/plain", 10, "not UTF-8"),
        (b"[" * 100_000, "application/json", 10**6, "not JSON"),
    ],
)
def test_malformed_results_are_refused(output: bytes, media_type: str, limit: int, reason: str) -> None:
    found = check_form(output, media_type, max_bytes=limit)
    assert found.score_ppm == 0
    assert reason in found.reasons[0]


def test_another_media_type_than_asked_is_refused() -> None:
    assert check_form(b"x", "text/plain", expected_media_type="application/json").score_ppm == 0


@pytest.mark.parametrize("value", [b"0", b"false", b"1.5", b'""', b"[0]"])
def test_false_and_zero_are_results(value: bytes) -> None:
    assert check_form(value, "application/json").score_ppm > 0


@pytest.mark.parametrize(
    ("first", "second", "agree"),
    [
        (b'{"a": 1.0, "b": [2]}', b'{"b":[2],"a":1.0000000001}', True),
        (b'{"a": 1.0}', b'{"a": 1.001}', False),
        (b'{"a": true}', b'{"a": 1}', False),
        (b'{"a": 1}', b'{"a": "1"}', False),
        (b"[1, 2]", b"[1, 2, 3]", False),
        (b"1" + b"0" * 400, b"1.0", False),
        (b"NaN", b"1", False),
        (b"{", b"{}", False),
    ],
)
def test_json_results_agree_as_values(first: bytes, second: bytes, agree: bool) -> None:
    assert (check_agreement(first, second, "application/json").score_ppm > 0) is agree


def test_a_disagreement_says_where() -> None:
    found = check_agreement(b'{"a": [1, {"b": 2}]}', b'{"a": [1, {"b": 3}]}', "application/json")
    assert found.reasons == ("the two results differ at $.a[1].b",)


def test_texts_agree_without_regard_to_white_space_and_bytes_only_exactly() -> None:
    assert check_agreement(b"a  b\n", b"a b", "text/plain").score_ppm > 0
    assert check_agreement(b"a  b\n", b"a b", "application/octet-stream").score_ppm == 0
