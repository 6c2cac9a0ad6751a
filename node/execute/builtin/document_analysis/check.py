"""Checking an analysis: quotes stand where they are said to, scores are right, and no better passage is found.

The search for better passages goes by plain text search for the rarest terms of some questions, so it reads a
small part of what the work read. The statistics that scores rest on are claims: the counts of the terms that are
searched for are compared with what the search meets.
"""

import math
import random
from collections import Counter

import msgspec

from node.execute.builtin.document_analysis.score import best_sentence, passage_score, weights
from node.execute.builtin.document_analysis.task import (
    AnalysisResult,
    AnalysisTask,
    Answer,
    Citation,
    Statistics,
    parse,
)
from node.execute.builtin.document_analysis.text import Reading, question_terms
from node.tasks.verify import FULL_SCORE_PPM, Finding
from protocol.specification import Level

SHARE: dict[Level, float] = {"cheap": 0.1, "full": 1.0}
MIN_QUESTIONS = 2
MAX_HITS: dict[Level, int] = {"cheap": 25, "full": 200}
"""Passages looked at for one question."""
SEARCHED_TERMS = 2
TOLERANCE = 1e-9

Place = tuple[int, int, int]
"""Document number, start and end of a passage."""


def check(input: bytes, media_type: str, output: bytes, *, level: Level, seed: bytes) -> Finding:  # noqa: A002
    """Score = cited relevance over the best relevance found, times the root of the share that was read."""
    task = parse(input, media_type)
    try:
        result = msgspec.json.decode(output, type=AnalysisResult)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Finding(0, (f"the result is not a document analysis: {error}",))
    if tuple(answer.question for answer in result.answers) != task.questions:
        return Finding(0, ("the answers are not to the questions asked",))
    checker = _Checker(task, result.statistics, MAX_HITS[level])
    for answer in result.answers:
        if reason := checker.quotes(answer):
            return Finding(0, (reason,))
    rng = random.Random(seed)
    sampled = rng.sample(result.answers, _sample(len(result.answers), level))
    meagre = [answer for answer in result.answers if len(answer.citations) < task.passages]
    sampled += rng.sample(meagre, min(1, len(meagre)))  # Leaving out is the easiest way to do less.
    reason = checker.passages(result) if level == "full" else ""
    total, note = 0.0, ""
    for answer in sampled:
        reason = reason or checker.scores(answer)
        if reason:
            return Finding(0, (reason,))
        share, reason, found = checker.rivals(answer)
        total += share
        note = note or found
    if reason:
        return Finding(0, (reason,))
    read = result.statistics.read_ppm / 1_000_000
    notes = (note,) if note else ()
    if read < 1:
        notes = (*notes, f"only {read:.1%} of the passages were read")
    return Finding(round(total / len(sampled) * math.sqrt(read) * FULL_SCORE_PPM), notes)


def _sample(questions: int, level: Level) -> int:
    return min(questions, max(MIN_QUESTIONS, math.ceil(SHARE[level] * questions)))


class _Checker:
    def __init__(self, task: AnalysisTask, statistics: Statistics, max_hits: int) -> None:
        self._task = task
        self._statistics = statistics
        self._max_hits = max_hits
        self._readings = [Reading(document) for document in task.documents]
        self._numbers = {reading.name: number for number, reading in enumerate(self._readings)}
        self._is_complete = statistics.read_ppm == FULL_SCORE_PPM

    def quotes(self, answer: Answer) -> str:
        """What is wrong with an answer's citations as quotations; empty when nothing is."""
        if len(answer.citations) > self._task.passages:
            return f"{len(answer.citations)} passages are cited where {self._task.passages} were asked for"
        places = {(citation.document, citation.start_char) for citation in answer.citations}
        if len(places) < len(answer.citations):
            return "a passage is cited twice for one question"
        for citation in answer.citations:
            number = self._numbers.get(citation.document)
            if number is None:
                return f"there is no document {citation.document[:80]!r}"
            reading = self._readings[number]
            start, end = citation.start_char, citation.end_char
            if not 0 <= start < end <= len(reading.text) or reading.text[start:end] != citation.quote:
                return f"the quote at {start}-{end} of {citation.document[:80]!r} is not there"
            if (reading.byte_offset(start), reading.byte_offset(end)) != (citation.start_byte, citation.end_byte):
                return f"the byte offsets of the quote at {start}-{end} are wrong"
            if reading.passage_at(start) != (start, end):
                return f"{start}-{end} of {citation.document[:80]!r} is not a passage"
        if answer.answer not in (answer.citations[0].quote if answer.citations else ""):
            return f"the answer to {answer.question[:80]!r} is not in the first passage cited"
        return ""

    def passages(self, result: AnalysisResult) -> str:
        """Whether the claimed number of passages is right."""
        found = sum(1 for reading in self._readings for _ in reading.passages())
        claimed = result.statistics.passages * FULL_SCORE_PPM / max(result.statistics.read_ppm, 1)
        if abs(found - claimed) > 1 + 0.001 * found * (not self._is_complete) + claimed * 1e-6:
            return f"there are {found} passages, not {claimed:.0f}"
        return ""

    def scores(self, answer: Answer) -> str:
        """Whether the claimed scores and the extracted sentence follow from the claimed statistics."""
        idf = weights(question_terms(answer.question), self._statistics)
        last = math.inf
        for citation in answer.citations:
            found = self._score(self._place(citation), idf)
            if not math.isclose(found, citation.score, rel_tol=TOLERANCE) or citation.score > last * (1 + TOLERANCE):
                return f"the passage at {citation.start_char} scores {found:.6g}, not {citation.score:.6g} in its place"
            last = citation.score
        expected = best_sentence(answer.citations[0].quote, idf) if answer.citations else ""
        return "" if answer.answer == expected else f"the answer to {answer.question[:80]!r} is not the cited sentence"

    def rivals(self, answer: Answer) -> tuple[float, str, str]:
        """The cited share of the best relevance found, a reason to refuse, and a note about what was missed."""
        terms = question_terms(answer.question)
        frequency = self._statistics.document_frequency
        idf = weights(terms, self._statistics)
        scores = {self._place(citation): citation.score for citation in answer.citations}
        cited = math.fsum(scores.values())
        for term in sorted(terms, key=lambda term: frequency.get(term, 0))[:SEARCHED_TERMS]:
            places, is_all = self._search(term)
            claimed = frequency.get(term, 0)
            if self._is_complete and (claimed != len(places) if is_all else claimed < len(places)):
                return 0.0, f"{len(places)} passages hold {term!r}, not {claimed}", ""
            for place in places:
                if place not in scores:
                    scores[place] = self._score(place, idf)
        best = math.fsum(sorted(scores.values(), reverse=True)[: self._task.passages])
        if best <= 0:
            return 1.0, "", ""
        share = min(1.0, cited / best)
        missed = share < 1 - TOLERANCE
        return share, "", f"better passages were found for {answer.question[:80]!r}" if missed else ""

    def _place(self, citation: Citation) -> Place:
        return self._numbers[citation.document], citation.start_char, citation.end_char

    def _score(self, place: Place, idf: dict[str, float]) -> float:
        number, start, end = place
        terms = self._readings[number].terms(start, end)
        return passage_score(Counter(terms), len(terms), idf, self._statistics.mean_terms)

    def _search(self, term: str) -> tuple[list[Place], bool]:
        """Passages that hold `term`, and whether these are all."""
        places: list[Place] = []
        looks = 0
        for number, reading in enumerate(self._readings):
            position = reading.lowered.find(term)
            while position >= 0:
                if looks >= self._max_hits:
                    return places, False
                looks += 1
                start, end = reading.passage_at(position)
                if term in reading.terms(start, end):
                    places.append((number, start, end))
                position = reading.lowered.find(term, max(end, position + 1))
        return places, True
