"""Seeded, realistic inputs for the builtin skills: filings, return series, labelled sentences.

Used by the demo, tests and benches. The same seed gives the same bytes; every input can be made of any size.
"""

import json
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.execute.skill import JSON

_COMPANIES = ("Aldermoor", "Brightwater", "Castellan", "Dunmore", "Eastvale", "Fernhill", "Granholm", "Harrowgate")
_SUFFIXES = ("Industries", "Holdings", "Logistics", "Energy", "Foods", "Semiconductors", "Pharma", "Networks")
_SEGMENTS = ("Nordic", "Iberian", "Pacific", "Andean", "Baltic", "Alpine", "Gulf", "Prairie", "Coastal", "Highland")
_ITEMS = (
    ("goodwill impairment", "recognised a goodwill impairment of {amount} million dollars"),
    ("restructuring charge", "recorded a restructuring charge of {amount} million dollars"),
    ("capital expenditure", "spent {amount} million dollars on capital expenditure"),
    ("litigation settlement", "agreed a litigation settlement of {amount} million dollars"),
    ("pension contribution", "made a pension contribution of {amount} million dollars"),
    ("tax refund", "received a tax refund of {amount} million dollars"),
)
_FILLER = (
    "Management reviews the {noun} of each {thing} at least once a {period} and adjusts it where {reason}.",
    "The {noun} of the {thing} is measured at {basis}, and changes are shown in the {statement}.",
    "During the {period} the {thing} continued to depend on {driver}, which we cannot fully control.",
    "We believe that our {thing} is adequate for the {noun} that we expect over the next {period}.",
    "Contracts with customers in the {thing} usually run for one {period} and carry {basis} terms.",
    "A change of ten percent in {driver} would not have had a material effect on the {noun}.",
    "The {statement} should be read together with the notes, in particular the note on {noun}.",
    "Our {thing} competes on {driver}, quality of service and the {noun} of its offering.",
)
_SLOTS = {
    "noun": (
        "carrying amount",
        "useful life",
        "liquidity",
        "inventory",
        "lease liability",
        "credit exposure",
        "backlog",
    ),
    "thing": ("segment", "facility", "product line", "distribution network", "supply chain", "research programme"),
    "period": ("quarter", "fiscal year", "season", "reporting period"),
    "reason": ("circumstances indicate", "the auditor requires", "market conditions change", "regulation demands"),
    "basis": ("historical cost", "fair value", "amortised cost", "customary", "floating"),
    "statement": ("income statement", "balance sheet", "cash flow statement", "statement of equity"),
    "driver": ("energy prices", "freight rates", "foreign exchange rates", "interest rates", "demand from retailers"),
}
_PARAGRAPHS_PER_PAGE = 6

_SUBJECTS = ("The service", "This phone", "The film", "Their support team", "The hotel", "The quarter", "The update")
_GOOD = ("excellent", "reliable", "delightful", "impressive", "strong", "helpful", "charming", "top-notch", "wonderful")
_BAD = ("terrible", "unreliable", "disappointing", "boring", "weak", "useless", "annoying", "subpar", "awful")
_NEUTRAL = (
    "{subject} was announced on Tuesday.",
    "{subject} runs from nine to five.",
    "We bought it in March and used it for a month.",
    "The box holds a cable and a manual.",
    "It was reviewed by three people from the same office.",
)
_TEMPLATES = (
    ("{subject} was {word}.", 1),
    ("{subject} was really {word}!", 1),
    ("I found it {word} from start to end.", 1),
    ("{subject} was not {word}.", -1),
    ("{subject} was never really {word}, to be frank.", -1),
    ("I cannot say that it was {word}.", -1),
    ("{subject} looked {opposite} at first, but it turned out very {word}.", 1),
    ("Although some called it {opposite}, {lower} was extremely {word}.", 1),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One input for a builtin skill, and what a good result should say: a text for each question, or -1, 0, 1 for
    each sentence; empty where the input has a closed form or a certificate."""

    label: str
    input: bytes
    expected: tuple[str | int, ...] = ()
    media_type: str = JSON


def filing(rng: random.Random, pages: int, facts: int) -> tuple[str, list[tuple[str, str]]]:
    """An annual report of about `pages` x 3,000 characters, with (question, answer text) for each planted fact."""
    company = f"{rng.choice(_COMPANIES)} {rng.choice(_SUFFIXES)}"
    paragraphs = [_paragraph(rng) for _ in range(max(1, pages) * _PARAGRAPHS_PER_PAGE)]
    choices = [(item, segment, year) for item in _ITEMS for segment in _SEGMENTS for year in range(2012, 2026)]
    questions: list[tuple[str, str]] = []
    for (name, clause), segment, year in rng.sample(choices, facts):
        amount = f"{rng.randrange(10, 9_000) / 10:.1f}"
        sentence = f"In fiscal {year} the {segment} division of {company} {clause.format(amount=amount)}."
        place = rng.randrange(len(paragraphs))
        paragraphs[place] = f"{sentence} {paragraphs[place]}"
        questions.append((f"What was the {name} of the {segment} division in fiscal {year}?", f"{amount} million"))
    title = f"{company}: annual report"
    return "\n\n".join([title, *paragraphs]), questions


def _paragraph(rng: random.Random) -> str:
    sentences = (rng.choice(_FILLER) for _ in range(5))
    return " ".join(
        sentence.format_map({slot: rng.choice(words) for slot, words in _SLOTS.items()}) for sentence in sentences
    )


def analysis_case(seed: int, *, documents: int = 3, pages: int = 20, questions: int = 10) -> Case:
    """Filings and questions about facts that are planted in them."""
    rng = random.Random(seed)
    per_document = -(-questions // documents)
    texts, asked = [], []
    for number in range(documents):
        text, facts = filing(rng, pages, per_document)
        texts.append({"name": f"filing-{number}.txt", "text": text})
        asked += facts
    asked = asked[:questions]
    task = {"questions": [question for question, _ in asked], "documents": texts}
    return Case("document-analysis", json.dumps(task).encode(), tuple(answer for _, answer in asked))


def returns(rng: np.random.Generator, assets: int, periods: int) -> NDArray[np.float64]:
    """Daily returns (periods, assets) of a market with one common factor, a few sectors, and own noise."""
    sectors = rng.integers(0, 6, assets)
    common = rng.normal(0.0003, 0.009, (periods, 1))
    sector = rng.normal(0.0, 0.005, (periods, 6))
    beta = rng.uniform(0.5, 1.6, assets)
    own = rng.normal(0.0, 1.0, (periods, assets)) * rng.uniform(0.006, 0.02, assets)
    drift = rng.normal(0.0001, 0.0002, assets)
    return common * beta + sector[:, sectors] + own + drift


def _moments(rng: np.random.Generator, assets: int) -> dict[str, list[float] | list[list[float]]]:
    history = returns(rng, assets, 3 * assets + 250)
    covariance = np.atleast_2d(np.cov(history, rowvar=False))
    return {"means": history.mean(axis=0).round(8).tolist(), "covariance": covariance.round(10).tolist()}


def risk_case(
    seed: int, *, assets: int = 10, paths: int = 200_000, horizon: int = 10, distribution: str = "gaussian"
) -> Case:
    """A portfolio of long and a few short positions. Work goes with paths x horizon x assets."""
    rng = np.random.default_rng(seed)
    positions = (rng.lognormal(11, 1, assets) * np.where(rng.random(assets) < 0.15, -1, 1)).round(2)
    names = [f"{rng.choice(list('ABCDEFGH'))}{number:03d}" for number in range(assets)]
    task = {
        "positions": dict(zip(names, positions.tolist(), strict=True)),
        **_moments(rng, assets),
        "confidence": 0.99,
        "horizon": horizon,
        "paths": paths,
        "distribution": distribution,
        "seed": seed,
    }
    return Case("risk", json.dumps(task).encode())


def portfolio_case(seed: int, *, assets: int = 200, points: int = 20, periods: int = 0) -> Case:
    """A market and a frontier of risk aversions; with `periods`, as a history of returns instead of moments."""
    rng = np.random.default_rng(seed)
    aversions = np.geomspace(1, 200, points).round(4).tolist()
    if periods:
        market: dict[str, object] = {"returns": returns(rng, assets, periods).round(7).tolist()}
    else:
        market = {**_moments(rng, assets)}
    return Case("portfolio", json.dumps({**market, "risk_aversions": aversions}).encode())


def sentiment_case(seed: int, *, texts: int = 20, sentences: int = 100) -> Case:
    """Reviews of `sentences` sentences each; a third of the sentences is neutral."""
    rng = random.Random(seed)
    written, labels = [], []
    for _ in range(texts):
        lines = [_sentence(rng) for _ in range(sentences)]
        written.append(" ".join(line for line, _ in lines))
        labels += [label for _, label in lines]
    return Case("sentiment", json.dumps({"texts": written}).encode(), tuple(labels))


def _sentence(rng: random.Random) -> tuple[str, int]:
    subject = rng.choice(_SUBJECTS)
    if rng.random() < 1 / 3:
        return rng.choice(_NEUTRAL).format(subject=subject), 0
    template, sign = rng.choice(_TEMPLATES)
    feeling = rng.choice((1, -1))
    word, opposite = (rng.choice(_GOOD), rng.choice(_BAD)) if feeling > 0 else (rng.choice(_BAD), rng.choice(_GOOD))
    lower = subject[0].lower() + subject[1:]
    return template.format(subject=subject, word=word, opposite=opposite, lower=lower), sign * feeling


def probe(label: str) -> Case:
    """An input of about a tenth of a second of work: enough to calibrate a machine on, small enough for a start."""
    match label:
        case "document-analysis":
            return analysis_case(0, documents=2, pages=40, questions=6)
        case "portfolio":
            return portfolio_case(0, assets=250, points=20)
        case "risk":
            return risk_case(0, paths=50_000)
        case "sentiment":
            return sentiment_case(0, texts=80)
        case _:
            raise KeyError(f"{label!r} is not a builtin skill")
