"""What skills are called: OASF's public taxonomy, and what an agent may have beside them: the paper's relations.

The taxonomy is data with a version (`data/`, made by scripts/embedding). A term's ancestors are its path's beginnings:
`language_processing/language_generation/summarization` is a skill of a class of a category.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from node.errors import UsageError

TAXONOMY = "oasf-1.1.1"
DATA = Path(__file__).parent / "data"
RESOURCES = "resources-1"
EVERYDAY = "everyday-1"
RELATIONS = ("hasResource", "hasAccessTo", "canExecute", "hasKnowledgeBase", "supportsProtocol")
"""Of an agent to what it has (COALESCE, section III.C): the first part of a resource term, `hasResource/gpu/h100`."""
ANCESTOR_SHARE = 0.5
"""What a term's parent counts of the term: two skills of one class are half alike, of one category a quarter."""


@dataclass(frozen=True, slots=True)
class Term:
    """One skill, class or category of the taxonomy."""

    path: str
    caption: str
    description: str

    @property
    def text(self) -> str:
        """What its vector is made from."""
        return f"{self.caption}. {self.description}"


@cache
def taxonomy() -> Mapping[str, Term]:
    """All terms by path, in the order of their paths."""
    return _terms(TAXONOMY)


@cache
def resources() -> Mapping[str, Term]:
    """All resource terms by path; each begins with a relation."""
    return _terms(RESOURCES)


@cache
def everyday() -> Mapping[str, Term]:
    """What people talk about and nobody sells to agents: everyday topics by path, with words that belong to them."""
    return _terms(EVERYDAY)


def check_resource(path: str) -> str:
    """Return `path` if it is a resource term; UsageError names the nearest for any other."""
    if path not in resources():
        near = difflib.get_close_matches(path, resources(), 3, 0.5)
        advice = f"did you mean {' or '.join(near)}?" if near else f"they begin with {', '.join(RELATIONS)}"
        raise UsageError(f"{path[:80]!r} is not a resource term of {RESOURCES}: {advice}")
    return path


def has(terms: Iterable[str], need: str) -> bool:
    """Whether one of the terms is what is needed, or a kind of it: `gpu/nvidia/h100` is a `gpu`."""
    return any(term == need or term.startswith(f"{need}/") for term in terms)


def _terms(name: str) -> dict[str, Term]:
    rows = (line.split("\t") for line in (DATA / f"{name}.tsv").read_text(encoding="utf-8").splitlines())
    return {path: Term(path, caption, description) for path, caption, description in rows}


def ancestors(path: str) -> tuple[str, ...]:
    """The class and the category of a term, nearest first: `a/b` and `a` of `a/b/c`."""
    parts = path.split("/")
    return tuple("/".join(parts[:length]) for length in range(len(parts) - 1, 0, -1))


def shares(paths: Iterable[str]) -> dict[str, float]:
    """A set of terms with their ancestors: 1 for each term, half of that for its parent, and so on."""
    counted: dict[str, float] = {}
    for path in paths:
        for steps, term in enumerate((path, *ancestors(path))):
            counted[term] = max(counted.get(term, 0.0), ANCESTOR_SHARE**steps)
    return counted


def jaccard(one: Iterable[str], other: Iterable[str]) -> float:
    """The likeness of two sets of terms, ancestors counting partly: Ruzicka's form of Jaccard's index, 0 to 1.

    1 for two empty sets, which ask for nothing.
    """
    first, second = shares(one), shares(other)
    terms = first.keys() | second.keys()
    larger = sum(max(first.get(term, 0.0), second.get(term, 0.0)) for term in terms)
    return sum(min(first.get(term, 0.0), second.get(term, 0.0)) for term in terms) / larger if larger else 1.0
