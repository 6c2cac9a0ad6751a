"""The work of document analysis: read every passage, rank them for every question, extract the answers."""

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from node.execute.builtin.document_analysis.score import best_sentence, passage_score, weights
from node.execute.builtin.document_analysis.task import AnalysisResult, Answer, Statistics, parse
from node.execute.builtin.document_analysis.text import Reading, question_terms
from node.execute.skill import Progress
from protocol.specification import Effort

STRIDE: dict[Effort, int] = {"full": 1, "cheap": 2, "cheapest": 12}
"""Every how many passages one is read."""
REPORT_EVERY = 200


@dataclass(slots=True)
class _Index:
    """Passages read: (document, start, end, terms); and for each wanted term its count by passage number."""

    passages: list[tuple[Reading, int, int, int]] = field(default_factory=list)
    postings: dict[str, dict[int, int]] = field(default_factory=dict)
    seen: int = 0


def run(input: bytes, media_type: str, effort: Effort, progress: Progress) -> bytes:  # noqa: A002
    """Answer every question; JSON of an AnalysisResult."""
    task = parse(input, media_type)
    terms = [question_terms(question) for question in task.questions]
    wanted = frozenset(term for group in terms for term in group)
    index = _read([Reading(document) for document in task.documents], wanted, STRIDE[effort], progress)
    read = len(index.passages)
    statistics = Statistics(
        passages=read,
        mean_terms=sum(passage[3] for passage in index.passages) / read if read else 0.0,
        document_frequency={term: len(index.postings[term]) for term in sorted(wanted)},
        read_ppm=read * 1_000_000 // index.seen if index.seen else 1_000_000,
    )
    answers: list[Answer] = []
    for question, group in zip(task.questions, terms, strict=True):
        answers.append(_answer(question, group, index, statistics, task.passages))
        progress(900_000 + 90_000 * len(answers) // len(terms), f"{len(answers)} of {len(terms)} questions")
    summary = "\n".join(
        f"{answer.question}\n  {answer.answer} [{answer.citations[0].document}]"
        if answer.citations
        else f"{answer.question}\n  no passage answers this"
        for answer in answers
    )
    return msgspec.json.encode(AnalysisResult(summary=summary, answers=answers, statistics=statistics))


def _read(readings: list[Reading], wanted: frozenset[str], stride: int, progress: Progress) -> _Index:
    index = _Index(postings={term: {} for term in wanted})
    total_chars = sum(len(reading.text) for reading in readings) or 1
    done_chars = 0
    for reading in readings:
        for start, end in reading.passages():
            index.seen += 1
            if (index.seen - 1) % stride == 0:
                terms = reading.terms(start, end)
                number = len(index.passages)
                index.passages.append((reading, start, end, len(terms)))
                for term, count in Counter(terms).items():
                    if term in wanted:
                        index.postings[term][number] = count
            if index.seen % REPORT_EVERY == 0:
                done = done_chars + start
                progress(done * 900_000 // total_chars, f"{done} of {total_chars} characters")
        done_chars += len(reading.text)
    return index


def _answer(question: str, terms: tuple[str, ...], index: _Index, statistics: Statistics, keep: int) -> Answer:
    idf = weights(terms, statistics)
    candidates = {number for term in terms for number in index.postings[term]}

    def score(number: int) -> float:
        counts = {term: index.postings[term].get(number, 0) for term in terms}
        return passage_score(counts, index.passages[number][3], idf, statistics.mean_terms)

    ranked = sorted(((score(number), number) for number in candidates), key=lambda pair: (-pair[0], pair[1]))[:keep]
    citations = []
    for value, number in ranked:
        reading, start, end, _ = index.passages[number]
        citations.append(reading.cite(start, end, value))
    answer = best_sentence(citations[0].quote, idf) if citations else ""
    return Answer(question=question, answer=answer, citations=citations)
