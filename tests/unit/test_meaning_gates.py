"""Discovery by meaning on a generated corpus: three sellers of each skill, who advertise in their own words."""

from collections import defaultdict
from functools import cache
from pathlib import Path

from node.skills.meaning.anchors import ASKED, WIDENED, anchors
from node.skills.meaning.embedding import embedding
from node.skills.meaning.ontology import taxonomy
from node.skills.meaning.vector import Vector, dot, ratio

REQUESTS = Path(__file__).parents[1] / "data" / "meaning_requests.tsv"
"""What people might write, and the last part of the path of the term that answers it."""
UNRELATED = (
    "purple monkey dishwasher",
    "my cat sat on the mat",
    "what a lovely day",
    "asdf qwer zxcv",
    "grandmother bakes bread on sunday",
    "football match tonight",
    "walking the dog",
    "rain in the mountains",
)
WORDINGS = ("{caption}", "{description} Fast and cheap.", "{caption}: {description}")
TOP = 10
Seller = tuple[str, Vector, int]
"""The path of the term that the seller sells, its advert's vector, and its square."""


@cache
def market() -> tuple[list[Seller], dict[str, list[Seller]]]:
    """All sellers, and who is published under which anchor."""
    way = embedding()
    sellers: list[Seller] = []
    under: dict[str, list[Seller]] = defaultdict(list)
    for number, term in enumerate(list(taxonomy().values())):
        text = WORDINGS[number % len(WORDINGS)].format(caption=term.caption, description=term.description)
        vector = way.embed(text)
        seller = (term.path, vector, dot(vector, vector))
        sellers.append(seller)
        for path in anchors().published(text):
            under[path].append(seller)
    return sellers, under


def best(vector: Vector, sellers: list[Seller]) -> list[tuple[float, str]]:
    """The ten most alike, above theta."""
    length = dot(vector, vector)
    ranked = sorted(
        ((ratio(dot(vector, point), length * square), path) for path, point, square in sellers), reverse=True
    )
    return [(likeness, path) for likeness, path in ranked[:TOP] if likeness >= embedding().theta]


def by_anchors(request: str) -> list[tuple[float, str]]:
    """As a client finds them: six anchors, twelve where what came is weak."""
    vector = embedding().embed(request)
    _, under = market()
    found: list[tuple[float, str]] = []
    for count in (ASKED, WIDENED):
        found = best(vector, [seller for path in anchors().asked(request, count) for seller in set(under[path])])
        if len(found) >= TOP:
            break
    return found


def test_anchors_find_nearly_what_a_search_through_all_sellers_finds() -> None:
    sellers, _ = market()
    rows = [line.split("\t") for line in REQUESTS.read_text(encoding="utf-8").splitlines()]
    exact = sum(any(path.endswith(want) for _, path in best(embedding().embed(text), sellers)) for text, want in rows)
    found = sum(any(path.endswith(want) for _, path in by_anchors(text)) for text, want in rows)
    assert exact / len(rows) > 0.5, "the corpus is no gate where the embedding finds nothing"
    assert found / len(rows) >= exact / len(rows) - 0.02


def test_what_a_seller_says_word_for_word_finds_it() -> None:
    for term in list(taxonomy().values())[::9]:
        assert any(path == term.path for _, path in by_anchors(term.text)), term.path


def test_an_unrelated_request_finds_nothing() -> None:
    assert {request: by_anchors(request) for request in UNRELATED} == {request: [] for request in UNRELATED}
