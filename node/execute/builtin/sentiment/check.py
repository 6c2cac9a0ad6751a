"""Checking sentiment: the totals, and sentences at random places of the texts scored again."""

import math
import random
from bisect import bisect_right
from itertools import accumulate

import msgspec

from node.execute.builtin.sentiment.score import MAX_SENTENCE_CHARS, mean, score, sentences
from node.execute.builtin.sentiment.task import Sentence, SentimentResult, parse
from node.tasks.verify import FULL_SCORE_PPM, Finding
from protocol.specification import Level

SHARE: dict[Level, float] = {"cheap": 0.01, "full": 0.08}
HALF = 0.5
"""What the right sign of a wrong score is worth."""
MIN_SENTENCES: dict[Level, int] = {"cheap": 20, "full": 40}


def check(input: bytes, media_type: str, output: bytes, *, level: Level, seed: bytes) -> Finding:  # noqa: A002
    """Score = share of the sampled sentences with feeling (ours or claimed) whose score is right; half for the sign."""
    task = parse(input, media_type)
    try:
        result = msgspec.json.decode(output, type=SentimentResult)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Finding(0, (f"the result is not a sentiment result: {error}",))
    if reason := _totals(task.texts, result):
        return Finding(0, (reason,))
    rng = random.Random(seed)
    claimed = sum(len(text.sentences) for text in result.texts)
    draws = max(MIN_SENTENCES[level], math.ceil(SHARE[level] * claimed))
    ends = list(accumulate(len(text) for text in task.texts))
    felt, right = 0, 0.0
    first_wrong = ""
    for _ in range(draws):
        place = rng.randrange(ends[-1])
        number = bisect_right(ends, place)
        text, claims = task.texts[number], result.texts[number].sentences
        position = place - (ends[number] - len(text))
        verdict, wrong = _sentence(text, claims, position)
        if verdict is not None:
            felt += 1
            right += verdict
        if wrong and not first_wrong:
            first_wrong = f"text {number}: {wrong}"
    if not felt:
        return Finding(FULL_SCORE_PPM, ("no sampled sentence shows any feeling",))
    return Finding(round(right / felt * FULL_SCORE_PPM), (first_wrong,) if first_wrong else ())


def _totals(texts: tuple[str, ...], result: SentimentResult) -> str:
    whole = all_felt = 0
    if len(result.texts) != len(texts):
        return f"{len(result.texts)} results for {len(texts)} texts"
    for number, (text, claim) in enumerate(zip(texts, result.texts, strict=True)):
        last = total = felt = 0
        for start, end, value in claim.sentences:
            if not (last <= start < end <= len(text) and -1000 <= value <= 1000):
                return f"text {number}: sentence {start}-{end} overlaps, is outside the text or out of range"
            last = end
            if value:
                total += value
                felt += 1
        if claim.score != mean(total, felt):
            return f"text {number}: the score is not the mean of its sentences"
        whole, all_felt = whole + total, all_felt + felt
    return "" if result.score == mean(whole, all_felt) else "the score is not the mean of the sentences"


def _sentence(text: str, claims: list[Sentence], position: int) -> tuple[float | None, str]:
    """How right the claimed sentence at `position` is (1, half, 0), or None where neither side sees any feeling."""
    index = bisect_right(claims, position, key=lambda claim: claim[0]) - 1
    covered = index >= 0 and position < claims[index][1]
    if not covered:
        if text[position].isspace():
            return None, ""
        return 0.0, f"character {position} belongs to no sentence"
    start, end, claimed = claims[index]
    if (start, end) not in _near(text, start):
        return 0.0, f"{start}-{end} is not a sentence"
    found = score(text[start:end])
    if found == claimed == 0:
        return None, ""
    if found == claimed:
        return 1.0, ""
    same_sign = found * claimed > 0
    return HALF if same_sign else 0.0, f"sentence {start}-{end} scores {found}, not {claimed}"


def _near(text: str, start: int) -> list[tuple[int, int]]:
    """The sentence that would begin at `start`, cut as the work cuts it."""
    for bounds in sentences(text, start, min(len(text), start + 2 * MAX_SENTENCE_CHARS)):
        return [bounds]
    return []
