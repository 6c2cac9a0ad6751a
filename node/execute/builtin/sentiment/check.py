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

SHARE: dict[Level, float] = {"cheap": 0.02, "full": 0.12}
MIN_SENTENCES: dict[Level, int] = {"cheap": 20, "full": 40}


def check(input: bytes, media_type: str, output: bytes, *, level: Level, seed: bytes) -> Finding:  # noqa: A002
    """Score = share of the sampled sentences with feeling (ours or claimed) whose score is right."""
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
    felt = right = 0
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
    return Finding(right * FULL_SCORE_PPM // felt, (first_wrong,) if first_wrong else ())


def _totals(texts: tuple[str, ...], result: SentimentResult) -> str:
    if len(result.texts) != len(texts):
        return f"{len(result.texts)} results for {len(texts)} texts"
    for number, (text, claim) in enumerate(zip(texts, result.texts, strict=True)):
        last = 0
        for start, end, value in claim.sentences:
            if not (last <= start < end <= len(text) and -1000 <= value <= 1000):
                return f"text {number}: sentence {start}-{end} overlaps, is outside the text or out of range"
            last = end
        if claim.score != mean([value for _, _, value in claim.sentences]):
            return f"text {number}: the score is not the mean of its sentences"
    if result.score != mean([value for claim in result.texts for _, _, value in claim.sentences]):
        return "the score is not the mean of the sentences"
    return ""


def _sentence(text: str, claims: list[Sentence], position: int) -> tuple[bool | None, str]:
    """Whether the claimed sentence at `position` is right; None where neither side sees any feeling."""
    index = bisect_right(claims, position, key=lambda claim: claim[0]) - 1
    covered = index >= 0 and position < claims[index][1]
    if not covered:
        if text[position].isspace():
            return None, ""
        return False, f"character {position} belongs to no sentence"
    start, end, claimed = claims[index]
    if (start, end) not in _near(text, start):
        return False, f"{start}-{end} is not a sentence"
    found = score(text[start:end])
    if found == claimed == 0:
        return None, ""
    return found == claimed, "" if found == claimed else f"sentence {start}-{end} scores {found}, not {claimed}"


def _near(text: str, start: int) -> list[tuple[int, int]]:
    """The sentence that would begin at `start`, cut as the work cuts it."""
    for bounds in sentences(text, start, min(len(text), start + 2 * MAX_SENTENCE_CHARS)):
        return [bounds]
    return []
