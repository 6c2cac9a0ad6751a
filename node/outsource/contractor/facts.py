"""A fact of an advert: short, and another text for another fact."""

from hashlib import sha256
from typing import Final

from protocol.messages import MAX_FACT_CHARS

_DIGITS: Final = 8


def fact_text(text: str) -> str:
    """`text` as an advert has room for it: a longer one ends in a digest, so that no change goes unseen."""
    if len(text) <= MAX_FACT_CHARS:
        return text
    return f"{text[: MAX_FACT_CHARS - _DIGITS - 1]}#{sha256(text.encode()).hexdigest()[:_DIGITS]}"
