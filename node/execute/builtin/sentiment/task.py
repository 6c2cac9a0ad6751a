"""The sentiment skill: its input, its result, its size."""

from typing import Annotated

import msgspec
from msgspec import Meta

from node.execute.envelope import Envelope, decode_own_or_envelope
from node.execute.errors import InputError
from node.execute.skill import JSON, TEXT, Skill

MAX_TEXTS = 100_000
EXAMPLE = b'{"texts": ["The room was not clean, but the staff were wonderful!"]}'

Sentence = tuple[int, int, int]
"""Start and end in characters, score in thousandths (-1000 to 1000)."""


class SentimentTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Texts to judge, each for itself."""

    texts: Annotated[tuple[str, ...], Meta(min_length=1, max_length=MAX_TEXTS)]


class TextSentiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One text: its score (mean over sentences that show feeling) in thousandths, and every sentence."""

    score: int
    sentences: list[Sentence]


class SentimentResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One entry a text, in order; `score` is the mean over all sentences that show feeling, in thousandths."""

    summary: str
    score: int
    texts: list[TextSentiment]


def parse(input: bytes, media_type: str) -> SentimentTask:  # noqa: A002
    """The task in an input: its own JSON, a text, or an envelope (its text and each file are one text each)."""
    task = decode_own_or_envelope(SentimentTask, input, media_type, example=EXAMPLE)
    if isinstance(task, Envelope):
        texts = ([task.text] if task.text else []) + [file.as_text() for file in task.files]
        task = SentimentTask(texts=tuple(texts))
    if not any(text.strip() for text in task.texts):
        raise InputError(f"there is no text to judge; expected plain text, or for example {EXAMPLE.decode()}")
    return task


def size(input: bytes, media_type: str) -> int:  # noqa: A002
    """Characters of text."""
    return sum(len(text) for text in parse(input, media_type).texts)


SKILL = Skill(
    label="sentiment",
    caption="Sentiment of texts, sentence by sentence",
    description=(
        "Scores every sentence from -1000 to 1000 with a lexicon that knows negation, intensifiers, contrast and "
        "emphasis, and every text by its sentences. For English reviews, news and filings."
    ),
    input_media_types=(TEXT, JSON),
    output_media_type=JSON,
    size=size,
    unit="characters",
    example=EXAMPLE,
    verification={
        "cheap": "totals, and about 1 % of the sentences at random places scored again",
        "full": "totals, and about 8 % of the sentences scored again",
        "redundant": "a second run agrees",
    },
    min_score_ppm={"full": 970_000, "cheap": 300_000, "cheapest": 20_000},
)
