"""Dishonest contractors of the builtin skills, as careful as their kind can be: what they deliver passes every check of
form, adds up, and claims full effort. The checks are public, so that is what a cheat would do.

cheaper     a cheaper effort in place of the one that was paid for, not covered up
cut         three in ten parts of the work left out, and covered up
fabricated  made up: plausible at a glance, no work behind it
stale       the result of another input, fitted to the names of this one
truncated   the last third is missing
tampered    all the work done, and one figure changed
"""

import random
from collections import Counter
from dataclasses import dataclass
from statistics import NormalDist

import msgspec
import numpy as np
from msgspec.structs import replace

from node.execute.builtin.document_analysis import task as analysis
from node.execute.builtin.document_analysis.score import best_sentence, passage_score, weights
from node.execute.builtin.document_analysis.text import Reading, question_terms
from node.execute.builtin.portfolio import task as portfolio
from node.execute.builtin.portfolio.problem import certify, market_of
from node.execute.builtin.risk import task as risk
from node.execute.builtin.risk.simulate import closed_form, model_of
from node.execute.builtin.sentiment import task as sentiment
from node.execute.builtin.sentiment.score import mean, sentences

KINDS = ("cheaper", "cut", "fabricated", "stale", "truncated", "tampered")
CUT = 0.3
MISSING = 1 / 3


@dataclass(frozen=True, slots=True)
class Stock:
    """What a forger has at hand: the input, full and cheaper results for it, and the full result of another input."""

    input: bytes
    media_type: str
    full: bytes
    cheaper: bytes
    other: bytes


def forge(label: str, kind: str, stock: Stock, rng: random.Random) -> bytes:
    """What a contractor of this kind delivers."""
    if kind == "cheaper":
        return stock.cheaper
    match label:
        case "document-analysis":
            return msgspec.json.encode(_analysis(kind, stock, rng))
        case "portfolio":
            return msgspec.json.encode(_portfolio(kind, stock, rng))
        case "risk":
            return msgspec.json.encode(_risk(kind, stock, rng))
        case "sentiment":
            return msgspec.json.encode(_sentiment(kind, stock, rng))
        case _:
            raise ValueError(f"nobody forges {label!r} here")


def _analysis(kind: str, stock: Stock, rng: random.Random) -> analysis.AnalysisResult:
    task = analysis.parse(stock.input, stock.media_type)
    full = msgspec.json.decode(stock.full, type=analysis.AnalysisResult)
    match kind:
        case "cut":  # Seven in ten passages were read, and the counts are stated as if for all.
            readings = {document.name: Reading(document) for document in task.documents}
            unread = {name: {at for at, _ in one.passages() if rng.random() < CUT} for name, one in readings.items()}
            answers = [
                _analysis_answer(
                    answer.question,
                    [
                        (readings[one.document], one.start_char, one.end_char)
                        for one in answer.citations
                        if one.start_char not in unread[one.document]
                    ]
                    or [_any_passage(task, rng)],
                    full.statistics,
                )
                for answer in full.answers
            ]
            return replace(full, answers=answers)
        case "fabricated":
            statistics = analysis.Statistics(
                passages=full.statistics.passages,
                mean_terms=rng.uniform(0.9, 1.1) * full.statistics.mean_terms,
                document_frequency={term: rng.randint(1, 200) for term in full.statistics.document_frequency},
                read_ppm=1_000_000,
            )
            chosen = [[_any_passage(task, rng) for _ in range(task.passages)] for _ in task.questions]
            made = zip(task.questions, chosen, strict=True)
            return replace(
                full,
                statistics=statistics,
                answers=[_analysis_answer(question, places, statistics) for question, places in made],
            )
        case "stale":
            other = msgspec.json.decode(stock.other, type=analysis.AnalysisResult)
            old = zip(task.questions, other.answers, strict=True)
            return replace(other, answers=[replace(answer, question=question) for question, answer in old])
        case "truncated":
            kept = len(full.answers) - max(1, round(MISSING * len(full.answers)))
            return replace(
                full,
                answers=[
                    answer if number < kept else replace(answer, answer="", citations=[])
                    for number, answer in enumerate(full.answers)
                ],
            )
        case _:
            at = rng.randrange(len(full.answers))
            answers = list(full.answers)
            answers[at] = replace(answers[at], answer=_changed(answers[at].answer, rng))
            return replace(full, answers=answers)


Place = tuple[Reading, int, int]


def _any_passage(task: analysis.AnalysisTask, rng: random.Random) -> Place:
    reading = Reading(rng.choice(task.documents))
    return reading, *rng.choice(list(reading.passages()))


def _analysis_answer(question: str, places: list[Place], statistics: analysis.Statistics) -> analysis.Answer:
    """An answer by these passages, with the scores that follow from these statistics."""
    idf = weights(question_terms(question), statistics)
    scored = []
    for reading, start, end in {(place[0].name, place[1]): place for place in places}.values():
        terms = reading.terms(start, end)
        score = passage_score(Counter(terms), len(terms), idf, statistics.mean_terms)
        scored.append(reading.cite(start, end, score))
    scored.sort(key=lambda citation: -citation.score)
    return analysis.Answer(question=question, answer=best_sentence(scored[0].quote, idf), citations=scored)


def _changed(text: str, rng: random.Random) -> str:
    """The text with another digit, or without its last word."""
    digits = [at for at, letter in enumerate(text) if letter.isdigit()]
    if not digits:
        return text.rpartition(" ")[0]
    at = rng.choice(digits)
    return f"{text[:at]}{(int(text[at]) + rng.randint(1, 9)) % 10}{text[at + 1 :]}"


def _portfolio(kind: str, stock: Stock, rng: random.Random) -> portfolio.PortfolioResult:
    task = portfolio.parse(stock.input, stock.media_type)
    full = msgspec.json.decode(stock.full, type=portfolio.PortfolioResult)
    market, points = market_of(task), list(full.points)

    def stated(number: int, chosen: dict[str, float]) -> portfolio.Point:
        vector = np.array([chosen.get(name, 0.0) for name in task.names])
        found = certify(market, points[number].risk_aversion, vector)
        return replace(
            points[number],
            weights=chosen,
            expected_return=found.expected_return,
            variance=found.variance,
            gap=found.gap,
            relative_gap=found.relative_gap,
        )

    match kind:
        case "cut":  # The neighbour's portfolio, with figures that are right for it.
            for number in rng.sample(range(1, len(points)), round(CUT * len(points))):
                points[number] = stated(number, full.points[number - 1].weights)
        case "fabricated":
            for number in range(len(points)):
                drawn = rng.sample(task.names, min(len(task.names), 20))
                shares = np.random.default_rng(rng.getrandbits(32)).dirichlet(np.ones(len(drawn))).tolist()
                points[number] = replace(
                    stated(number, dict(zip(drawn, shares, strict=True))), gap=0.0, relative_gap=0.0
                )
        case "stale":
            return msgspec.json.decode(stock.other, type=portfolio.PortfolioResult)
        case "truncated":
            points = points[: -max(1, round(MISSING * len(points)))]
        case _:
            number = rng.randrange(len(points))
            held = dict(points[number].weights)
            source = max(held, key=lambda name: held[name])
            target = rng.choice([name for name in task.names if name != source])
            moved = 0.02 * held[source]
            held[source] -= moved
            held[target] = held.get(target, 0.0) + moved
            points[number] = replace(points[number], weights=held)
    return replace(full, points=tuple(points))


def _risk(kind: str, stock: Stock, rng: random.Random) -> risk.RiskResult:
    task = risk.parse(stock.input, stock.media_type)
    full = msgspec.json.decode(stock.full, type=risk.RiskResult)
    blocks, count = list(full.blocks), len(full.blocks)
    match kind:
        case "cut":
            for number in rng.sample(range(count), round(CUT * count)):
                blocks[number] = _made_block(full, blocks[number][0], rng)
            return _risk_totals(full, blocks)
        case "fabricated":  # What normal returns have in closed form, and blocks to match.
            normal, level = NormalDist(), task.confidence
            quantile = normal.inv_cdf(level)
            var, shortfall, _, parts = closed_form(model_of(task), quantile, normal.pdf(quantile), level)
            expected = max(1, round((1 - level) * full.paths))
            shares = Counter(rng.randrange(count) for _ in range(expected))
            made = replace(
                full,
                value_at_risk=var,
                expected_shortfall=shortfall,
                components=dict(zip(task.names, parts.tolist(), strict=True)),
            )
            return _risk_totals(made, [_made_block(made, shares[number], rng) for number in range(count)])
        case "stale":
            other = msgspec.json.decode(stock.other, type=risk.RiskResult)
            return replace(other, components=dict(zip(task.names, other.components.values(), strict=True)))
        case "truncated":
            kept = blocks[: count - max(1, round(MISSING * count))]
            return _risk_totals(replace(full, paths=len(kept) * full.block_paths), kept)
        case _:
            if rng.random() < 0.5:
                return replace(full, value_at_risk=full.value_at_risk * rng.choice((0.99, 1.01)))
            one, another = rng.sample(list(full.components), 2)
            moved = 0.05 * full.expected_shortfall
            held = full.components
            return replace(full, components={**held, one: held[one] + moved, another: held[another] - moved})


def _made_block(result: risk.RiskResult, losses: int, rng: random.Random) -> tuple[int, float, float]:
    excess = result.expected_shortfall - result.value_at_risk
    total = sum(result.value_at_risk + rng.expovariate(1 / excess) for _ in range(losses))
    return losses, total, result.expected_drawdown * result.block_paths * rng.gauss(1, 0.01)


def _risk_totals(result: risk.RiskResult, blocks: list[tuple[int, float, float]]) -> risk.RiskResult:
    counts, sums, drawdowns = (sum(column) for column in zip(*blocks, strict=True))
    shortfall = sums / counts
    scale = shortfall / result.expected_shortfall
    return replace(
        result,
        blocks=blocks,
        expected_shortfall=shortfall,
        expected_drawdown=drawdowns / result.paths,
        components={name: part * scale for name, part in result.components.items()},
    )


def _sentiment(kind: str, stock: Stock, rng: random.Random) -> sentiment.SentimentResult:
    task = sentiment.parse(stock.input, stock.media_type)
    full = msgspec.json.decode(stock.full, type=sentiment.SentimentResult)
    scores = [[value for _, _, value in text.sentences] for text in full.texts]
    known = [value for values in scores for value in values]
    match kind:
        case "cut":
            for number in rng.sample(range(len(scores)), max(1, round(CUT * len(scores)))):
                scores[number] = [rng.choice(known) for _ in scores[number]]
        case "fabricated":
            scores = [[rng.choice((0, *range(-900, 901, 100))) for _ in values] for values in scores]
        case "stale":
            other = msgspec.json.decode(stock.other, type=sentiment.SentimentResult)
            old = [value for text in other.texts for _, _, value in text.sentences]
            scores = [
                [old[(at + 7 * number) % len(old)] for at in range(len(one))] for number, one in enumerate(scores)
            ]
        case "truncated":
            kept = len(scores) - max(1, round(MISSING * len(scores)))
            scores = [values if number < kept else [] for number, values in enumerate(scores)]
        case _:
            number = rng.choice([at for at, values in enumerate(scores) if any(values)])
            at = rng.choice([place for place, value in enumerate(scores[number]) if value])
            scores[number][at] *= -1
    texts = [
        sentiment.TextSentiment(
            score=_mean(values),
            sentences=[(start, end, value) for (start, end), value in zip(sentences(text), values, strict=False)],
        )
        for text, values in zip(task.texts, scores, strict=True)
    ]
    return replace(full, texts=texts, score=_mean([value for values in scores for value in values]))


def _mean(scores: list[int]) -> int:
    felt = [value for value in scores if value]
    return mean(sum(felt), len(felt))
