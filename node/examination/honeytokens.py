"""Honeytokens: a string in a confidential input that stands nowhere else. Where it turns up, it came from that task.

It looks like a reference number. Sellers of one task get the same bytes, since quotes commit to the input's hash; which
of them was awarded the task, and so saw the input, is in the journal.
"""

import re
from base64 import b32encode
from hmac import digest
from typing import Final

TOKEN_PATTERN: Final = re.compile(r"\b[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}\b")
PLANTED_TYPES: Final = frozenset({"text/plain", "text/markdown"})
"""What a line more does not break."""
_LINE: Final = "\n\nRef. {token}\n"


def honeytoken(key: bytes, task_id: bytes) -> str:
    """80 bits that only who has `key` can make or foresee."""
    text = b32encode(digest(key, b"coalesced/honeytoken/1\x00" + task_id, "sha256")[:10]).decode()
    return "-".join(text[at : at + 4] for at in range(0, 16, 4))


def planted(data: bytes, token: str) -> bytes:
    """The input with the token as its last line."""
    return data.rstrip(b"\n") + _LINE.format(token=token).encode()


def tokens_in(text: str) -> tuple[str, ...]:
    """What looks like a token in a text that somebody found."""
    return tuple(dict.fromkeys(TOKEN_PATTERN.findall(text.upper())))
