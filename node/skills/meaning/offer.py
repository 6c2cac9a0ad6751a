"""The text of an offer, as seller and client both make it from what is advertised."""

import re

NOT_WORDS = re.compile(r"[-_/.]+")


def offer_text(skill: str, caption: str) -> str:
    """What an offer's vector is made from: its caption, and the words of its label."""
    return f"{caption}. {NOT_WORDS.sub(' ', skill)}"
