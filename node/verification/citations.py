"""Citations: what an answer quotes must stand in the documents that it was given.

A citation is a quoted passage, a block quote, or the text of a JSON field whose name says so (`quote`, `evidence`).
Case, spacing, the spelling of quotation marks and dashes, and hidden characters do not count; an ellipsis stands for
something left out, so that its parts must follow each other in one document. What is shorter than a few words is no
citation: people quote single words for many reasons. It says nothing of claims that are not quoted.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from node.tasks.verify import FULL_SCORE_PPM, Finding
from node.verification.material import Document, folded, json_of, shortened

MIN_CHARS: Final = 12
"""And two words: a shorter passage may stand anywhere by chance."""
MAX_CITATIONS: Final = 500
MAX_JSON_DEPTH: Final = 32
SHOWN_CHARS: Final = 120
SHOWN: Final = 3
QUOTED: Final = re.compile(rf"[\"“„«‟](?P<text>[^\"“”„«»‟]{{{MIN_CHARS},5000}})[\"”»“‟]")
BLOCK: Final = re.compile(r"(?:^[ \t]*>.*(?:\n|\Z))+", re.MULTILINE)
LEFT_OUT: Final = re.compile(r" ?(?:\[ ?\.{3} ?\]|\.{3,}) ?")
"""In a folded text, in which blanks stand alone and an ellipsis is three dots."""
MAX_TRIES: Final = 10_000
"""Places at which one citation is looked for: a document of one letter repeated must not hold up anybody."""
CITING: Final = frozenset(
    {"quote", "quotes", "citation", "citations", "cite", "evidence", "excerpt", "excerpts", "passage", "source_text"}
)
"""Names of JSON fields that hold citations, by themselves or as the `text` or `quote` of an object."""
NAMING: Final = ("document", "source", "file")
"""Names of the field beside a quote that says which document it is from."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A quoted passage; `document` where the answer says which one it is from."""

    text: str
    document: str = ""


def citations_of(answer: str) -> tuple[Citation, ...]:
    """The citations of an answer, each once, in their order; at most MAX_CITATIONS and one more."""
    value = json_of(answer)
    found = _in_json(value, MAX_JSON_DEPTH) if isinstance(value, dict | list) else _in_text(answer)
    distinct: dict[tuple[str, str], Citation] = {}
    for one in found:
        form = folded(one.text)
        if len(form) >= MIN_CHARS and " " in form:
            distinct.setdefault((form, one.document), one)
        if len(distinct) > MAX_CITATIONS:
            break
    return tuple(distinct.values())


def check_citations(answer: str, documents: Sequence[Document]) -> Finding:
    """The share of the citations that stand in the documents. An answer that cites nothing has none that do."""
    cited = citations_of(answer)
    if not cited:
        return Finding(0, ("it quotes nothing of its documents",))
    if len(cited) > MAX_CITATIONS:
        return Finding(0, (f"it has more than {MAX_CITATIONS} citations",))
    prepared = [Document(one.name, folded(one.text)) for one in documents]
    made_up = [one for one in cited if not _stands(one, prepared)]
    said = f"{len(cited) - len(made_up)} of {len(cited)} citations stand in the documents"
    shown = tuple(f"not in the documents: {shortened(one.text, SHOWN_CHARS)}" for one in made_up[:SHOWN])
    return Finding(FULL_SCORE_PPM * (len(cited) - len(made_up)) // len(cited), (said, *shown))


def _stands(citation: Citation, documents: Sequence[Document]) -> bool:
    """Whether its parts between ellipses follow each other in one of the documents, which are folded."""
    parts = [part for part in map(str.strip, LEFT_OUT.split(folded(citation.text))) if part]
    is_named = citation.document in {one.name for one in documents}
    asked = (one for one in documents if not is_named or citation.document == one.name)
    return any(_in_order(parts, one.text) for one in asked)


def _in_order(parts: Sequence[str], text: str) -> bool:
    at = 0
    for part in parts:
        at = _word_start(text, part, at)
        if at < 0:
            return False
        at += len(part)
    return bool(parts)


def _word_start(text: str, part: str, at: int) -> int:
    """Where `part` stands from `at` on as whole words; -1 when nowhere: "lost 12 %" is no quote of "lost 120 %"."""
    for _ in range(MAX_TRIES):
        if (at := text.find(part, at)) < 0:
            return -1
        end = at + len(part)
        cut_before = at > 0 and text[at - 1].isalnum() and part[0].isalnum()
        cut_after = end < len(text) and text[end].isalnum() and part[-1].isalnum()
        if not cut_before and not cut_after:
            return at
        at += 1
    return -1


def _in_text(answer: str) -> Iterator[Citation]:
    for block in BLOCK.finditer(answer):
        lines = (line.lstrip(" \t>").strip() for line in block[0].splitlines())
        yield Citation(" ".join(lines).strip('"“”„«» '))
    for quoted in QUOTED.finditer(BLOCK.sub("\n", answer)):
        yield Citation(quoted["text"])


def _in_json(value: Any, depth: int, *, is_citing: bool = False) -> Iterator[Citation]:
    """The texts below a field that cites; `is_citing` below one."""
    if depth == 0:
        return
    if isinstance(value, str) and is_citing:
        yield Citation(value)
    elif isinstance(value, list):
        for one in value:
            yield from _in_json(one, depth - 1, is_citing=is_citing)
    elif isinstance(value, dict):
        named = next((value[name] for name in NAMING if isinstance(value.get(name), str)), "")
        for name, one in value.items():
            cites = name.lower() in CITING or (is_citing and name == "text")
            for found in _in_json(one, depth - 1, is_citing=cites):
                yield Citation(found.text, found.document or named)
