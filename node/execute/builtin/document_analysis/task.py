"""The document-analysis skill: its input, its result, its size."""

from typing import Annotated

import msgspec
from msgspec import Meta

from node.execute.envelope import Envelope, decode_own_or_envelope
from node.execute.errors import InputError
from node.execute.skill import JSON, TEXT, Skill

MAX_QUESTIONS = 1_000
MAX_DOCUMENTS = 10_000
MAX_QUESTION_CHARS = 2_000

EXAMPLE = (
    b'{"questions": ["Who audits the company?"], '
    b'"documents": [{"name": "report.txt", "text": "Founded in 1902. The auditor of the company is Hale & Co."}]}'
)


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One document to read."""

    name: Annotated[str, Meta(min_length=1, max_length=1000)]
    text: str


class AnalysisTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Questions, documents, and how many passages to cite for each question."""

    questions: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=MAX_QUESTION_CHARS)], ...],
        Meta(min_length=1, max_length=MAX_QUESTIONS),
    ]
    documents: Annotated[tuple[Document, ...], Meta(min_length=1, max_length=MAX_DOCUMENTS)]
    passages: Annotated[int, Meta(ge=1, le=20)] = 3


Count = Annotated[int, Meta(ge=0, le=2**53)]
"""Beyond that, a claimed number of anything is a lie, and too large for the arithmetic of the check."""


class Citation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where an answer comes from. Offsets count from the start of the document: characters, and bytes of UTF-8."""

    document: str
    start_char: Count
    end_char: Count
    start_byte: Count
    end_byte: Count
    quote: str
    score: float


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The sentence of the best passage that fits the question best, and the passages, best first."""

    question: str
    answer: str
    citations: Annotated[list[Citation], Meta(max_length=20)]


class Statistics(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the scores rest on: passages read, their mean length in terms, passages that hold each question term.

    `read_ppm` is the share of all passages that was read.
    """

    passages: Count
    mean_terms: Annotated[float, Meta(ge=0)]
    document_frequency: dict[str, Count]
    read_ppm: Annotated[int, Meta(ge=0, le=1_000_000)]


class AnalysisResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One answer a question, in order."""

    summary: str
    answers: Annotated[list[Answer], Meta(max_length=MAX_QUESTIONS)]
    statistics: Statistics


def parse(input: bytes, media_type: str) -> AnalysisTask:  # noqa: A002
    """The task in an input: its own JSON; an envelope (each line of the text is a question, each file a document);
    or a text whose first paragraph is the questions and whose rest is the document."""
    task = decode_own_or_envelope(AnalysisTask, input, media_type, example=EXAMPLE)
    if isinstance(task, Envelope):
        if task.files:
            questions, documents = (
                task.text,
                tuple(Document(name=file.name, text=file.as_text()) for file in task.files),
            )
        else:
            questions, _, text = task.text.strip().partition("\n\n")
            documents = (Document(name="text", text=text),)
        task = AnalysisTask(questions=_lines(questions), documents=documents)
    if not task.questions or not any(document.text.strip() for document in task.documents):
        raise InputError(
            "this skill needs a question and a document: ask document-analysis 'question' -f FILE, or a text with the "
            f"question, an empty line and the document, or JSON such as {EXAMPLE.decode()}"
        )
    names = [document.name for document in task.documents]
    if len(set(names)) != len(names):
        raise InputError("two documents have the same name: citations could not tell them apart")
    if len(task.questions) > MAX_QUESTIONS:
        raise InputError(f"there are {len(task.questions)} questions; at most {MAX_QUESTIONS} are possible")
    return task


def _lines(text: str) -> tuple[str, ...]:
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    if any(len(line) > MAX_QUESTION_CHARS for line in lines):
        raise InputError(f"a question has more than {MAX_QUESTION_CHARS} characters; give documents as files")
    return lines


def size(input: bytes, media_type: str) -> int:  # noqa: A002
    """Characters to read."""
    return sum(len(document.text) for document in parse(input, media_type).documents)


SKILL = Skill(
    label="document-analysis",
    caption="Questions answered from long documents, with citations",
    description=(
        "Reads any number of text documents, finds the passages that answer each question (BM25 with term coverage) "
        "and extracts the answering sentence. Every answer cites document, character and byte offsets, and the "
        "quoted passage."
    ),
    input_media_types=(TEXT, JSON),
    output_media_type=JSON,
    size=size,
    unit="characters",
    example=EXAMPLE,
    verification={
        "cheap": "every quote at its place; for a tenth of the questions scores, term counts and better passages",
        "full": "the same for every question, and the number of passages",
        "redundant": "a second run agrees",
    },
    min_score_ppm={"full": 980_000, "cheap": 300_000, "cheapest": 20_000},
)
