"""Discovery by meaning on a generated corpus: a seller of each skill, which advertises it in words of its own."""

from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from node.skills.meaning.anchors import ASKED, WIDENED, Anchors, anchors
from node.skills.meaning.grams import Grams
from node.skills.meaning.offer import offer_text
from node.skills.meaning.ontology import taxonomy
from node.skills.meaning.rank import ENOUGH, Offered, rank
from node.skills.meaning.subject import Subjects, subject

DATA = Path(__file__).parents[1] / "data"
REQUESTS = DATA / "meaning_requests.tsv"
"""What people might write, and the last part of the path of the term that answers it."""
SUBJECTS = DATA / "meaning_subjects.tsv"
"""Half (tuned or held-out), what it is about (related: work), a text, and the terms that answer it."""
UNRELATED = (
    "purple monkey dishwasher",
    "my cat sat on the mat",
    "what a lovely day",
    "asdf qwer zxcv",
    "grandmother bakes bread on sunday",
    "football match tonight",
    "walking the dog",
    "rain in the mountains",
    "two beers please",
    "blue curtains in the kitchen",
    "my cat sleeps all day",
    "the train was late again",
    "I need a haircut",
    "what shall we cook tonight",
    "my shoes are wet",
    "the neighbours are noisy",
    "we went skiing in february",
    "the baby cries at night",
    "a cup of tea with milk",
    "the lawn needs mowing",
    "happy birthday to you",
    "he broke his leg playing football",
    "the bus stops at the corner",
    "my tooth hurts",
    "a bouquet of red roses",
    "paint the fence green",
    "she sings in the shower",
    "the fridge is empty",
    "grandpa tells old stories",
    "it snowed in april",
    "buy bread and butter",
    "the dog chased the ball",
    "where did I put my keys",
    "our holiday in spain was lovely",
    "the moon is bright tonight",
    "polish my shoes please",
    "the soup is too salty",
    "a flat tyre on the motorway",
    "feed the goldfish",
    "turn the heating down",
)
WORDINGS = ("{caption}", "{description} Fast and cheap.", "{caption}: {description}")
TOP = 10


@cache
def market() -> tuple[list[Offered], dict[str, list[Offered]]]:
    """All offers, and which are published under which anchor."""
    offers: list[Offered] = []
    under: dict[str, list[Offered]] = defaultdict(list)
    for number, term in enumerate(taxonomy().values()):
        wording = WORDINGS[number % len(WORDINGS)]
        caption = wording.format(caption=term.caption, description=term.description)[:120]
        offer = Offered(term.path.rpartition("/")[2].replace("_", "-"), caption)
        offers.append(offer)
        for path in anchors().published(offer_text(offer.skill, offer.caption)):
            under[path].append(offer)
    return offers, under


def best(request: str, offers: list[Offered]) -> list[str]:
    """The skills of the ten that fit best."""
    return [offers[at].skill for at, _ in rank(request, offers)[:TOP]]


def by_anchors(request: str) -> list[str]:
    """As a client finds them: under six captions, and under twelve where what came is weak."""
    _, under = market()
    found: list[str] = []
    for count in (ASKED, WIDENED):
        met = dict.fromkeys(offer for path in subject(request).paths[:count] for offer in under[path])
        found = best(request, list(met))
        if len(found) >= ENOUGH:
            break
    return found


def test_anchors_find_nearly_what_a_search_through_all_offers_finds() -> None:
    offers, _ = market()
    rows = [line.split("\t") for line in REQUESTS.read_text(encoding="utf-8").splitlines()]
    exact = sum(want.replace("_", "-") in best(text, offers) for text, want in rows)
    found = sum(want.replace("_", "-") in by_anchors(text) for text, want in rows)
    assert exact / len(rows) > 0.6, "the corpus is no gate where the embedding finds nothing"
    assert found / len(rows) >= exact / len(rows) - 0.02


def test_what_an_offer_says_word_for_word_finds_it() -> None:
    for offer in market()[0][::9]:
        assert offer.skill in by_anchors(offer_text(offer.skill, offer.caption)), offer


@pytest.mark.parametrize("request_", UNRELATED)
def test_an_unrelated_request_finds_nothing(request_: str) -> None:
    assert by_anchors(request_) == []


def test_of_texts_that_set_no_threshold_few_are_wrongly_taken_for_work_or_wrongly_not() -> None:
    rows = [line.split("\t") for line in SUBJECTS.read_text(encoding="utf-8").splitlines()]
    held_out = [(kind == "related", subject(text)) for half, kind, text, _ in rows if half == "held-out"]
    work, other = ([about for is_work, about in held_out if is_work is wanted] for wanted in (True, False))
    assert (len(work), len(other)) == (76, 120)
    assert sum(about.is_work for about in other) <= 6
    assert sum(about.is_work for about in work) >= 71
    nearest = [about.captions[0].cosine for about in other if about.captions]
    assert sum(cosine >= 0.32 for cosine in nearest) > 20, "one cosine alone does not tell them apart"


def test_what_nobody_else_would_be_asked_for_is_found_in_its_own_words() -> None:
    baker = Offered("bake-bread", "Bread baked on Sunday by a grandmother")
    assert rank("grandmother bakes bread on sunday", [baker, *market()[0]])[0][0] == 0
    assert rank("two beers please", [baker]) == []


def test_letters_alone_tell_everyday_talk_from_work_less_well_but_they_do() -> None:
    letters = Subjects(Grams(), Anchors(Grams()))
    rows = [line.split("\t")[0] for line in REQUESTS.read_text(encoding="utf-8").splitlines()]
    assert sum(letters.read(text).is_work for text in rows) > len(rows) / 2
    assert sum(letters.read(text).is_work for text in UNRELATED) < len(UNRELATED) / 8
