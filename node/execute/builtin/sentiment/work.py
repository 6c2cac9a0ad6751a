"""The work of the sentiment skill: every sentence of every text."""

import msgspec

from node.execute.builtin.sentiment.score import mean, plain_score, score, sentences
from node.execute.builtin.sentiment.task import Sentence, SentimentResult, TextSentiment, parse
from node.execute.skill import Progress
from protocol.specification import Effort

SKIP = 5
"""At effort cheapest only every fifth sentence is looked at; the others count as neutral."""
REPORT_EVERY = 500


def run(input: bytes, media_type: str, effort: Effort, progress: Progress) -> bytes:  # noqa: A002
    """Score all texts; JSON of a SentimentResult."""
    task = parse(input, media_type)
    total_chars = sum(len(text) for text in task.texts) or 1
    texts: list[TextSentiment] = []
    done_chars = 0
    for text in task.texts:
        found: list[Sentence] = []
        for number, (start, end) in enumerate(sentences(text)):
            match effort:
                case "full":
                    value = score(text[start:end])
                case "cheap":
                    value = plain_score(text[start:end])
                case "cheapest":
                    value = plain_score(text[start:end]) if number % SKIP == 0 else 0
            found.append((start, end, value))
            if number % REPORT_EVERY == 0:
                progress(
                    (done_chars + start) * 990_000 // total_chars, f"{done_chars + start} of {total_chars} characters"
                )
        done_chars += len(text)
        texts.append(TextSentiment(score=_mean([value for _, _, value in found]), sentences=found))
    scores = [value for text in texts for _, _, value in text.sentences]
    total = _mean(scores)
    positive, negative = sum(value > 0 for value in scores), sum(value < 0 for value in scores)
    summary = (
        f"{'Positive' if total > 0 else 'Negative' if total < 0 else 'Neutral'} overall ({total / 1000:+.3f}): "
        f"{positive} positive, {negative} negative and {len(scores) - positive - negative} neutral sentences."
    )
    return msgspec.json.encode(SentimentResult(summary=summary, score=total, texts=texts))


def _mean(scores: list[int]) -> int:
    felt = [value for value in scores if value]
    return mean(sum(felt), len(felt))
