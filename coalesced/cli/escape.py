"""Text from peers and files, made harmless: what reaches the terminal cannot steer it or reorder its line."""

import unicodedata

# As node/wording.py has them: this is part of the Python SDK, which a sold function imports where there is no node.
HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, hide, reorder or break lines: controls, formats (bidi overrides, zero
widths, tags), surrogates, line and paragraph separators."""


def escaped(text: str, *, keep: str = "") -> str:
    """`text` with every control, format and bidirectional character written as an escape, except those in `keep`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character in keep or unicodedata.category(character) not in HARMFUL else _escape(character)
        for character in text
    )


def escaped_block(text: str) -> str:
    """The same for text of several lines: line breaks and tabs stay."""
    return escaped(text.replace("\r\n", "\n"), keep="\n\t")


def _escape(character: str) -> str:
    number = ord(character)
    return {"\n": r"\n", "\t": r"\t", "\r": r"\r"}.get(character) or (
        f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
    )
