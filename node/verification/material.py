"""What a check looks at: the documents of a task, and texts in a form in which spelling does not matter."""

import json
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from node.tasks.content import Content

ALIKE: Final = {
    ord(char): plain for plain, chars in {"'": "‘’‚‛`´", '"': "“”„‟«»", "-": "‐‑‒–—―−"}.items() for char in chars
}
"""Marks that are written in several ways."""


@dataclass(frozen=True, slots=True)
class Document:
    """One text of a task's input; "" is the name of the text itself."""

    name: str
    text: str


def folded_char(char: str) -> str:
    """A char without case, marks in one spelling, white space as one blank; "" for what cannot be seen."""
    if char.isspace():
        return " "
    plain = ALIKE.get(ord(char), char)
    if plain.isascii():
        return plain.lower()
    return "".join(one for one in unicodedata.normalize("NFKC", plain).casefold() if unicodedata.category(one) != "Cf")


def folded(text: str) -> str:
    """The same of a whole text: what is compared without regard to case, spacing and marks. No blanks around it."""
    chars: list[str] = []
    for char in text:
        for one in folded_char(char):
            if one != " " or (chars and chars[-1] != " "):
                chars.append(one)
    return "".join(chars).strip()


def json_of(text: str) -> Any:
    """The JSON value that a text is; None when it is none, or nested too deep."""
    try:
        return msgspec.json.decode(text.encode(errors="replace"))
    except (msgspec.DecodeError, RecursionError):
        return None


def text_of(content: Content) -> str:
    """A result as text; what is no UTF-8 is marked as such."""
    return content.data.decode(errors="replace")


def shortened(text: str, most: int) -> str:
    """The start of a text as one line, quoted."""
    line = " ".join(text.split())
    return json.dumps(line if len(line) <= most else line[: most - 1] + "…", ensure_ascii=False)
