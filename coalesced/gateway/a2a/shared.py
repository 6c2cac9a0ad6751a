"""The words that both sides of A2A share, without the SDK: the extension's address, and money as text."""

from decimal import Decimal, InvalidOperation
from typing import Final

ECONOMICS: Final = "urn:coalesced:a2a:economics:1"
"""The extension for prices, contracts and receipts (docs/a2a.md)."""
SKILL: Final = "skill"
"""Metadata of a message: which of the card's skills it is for."""
VERIFY: Final = "verify"
RESULT_SCHEMA: Final = "result_schema"
"""Metadata of a message: the words of `ask --verify` that its result is checked by, and the JSON Schema it must fit."""
MICRO: Final = 1_000_000
MAX_USD: Final = 10**9


def dollars(micro: int) -> str:
    """Micro-dollars as decimal dollars: a JSON number would go through a double on its way."""
    return f"{Decimal(micro) / MICRO:f}"


def micro_of(text: object) -> int:
    """Micro-dollars of decimal dollars, exactly; ValueError for anything else."""
    if not isinstance(text, str) or len(text) > 20:
        raise ValueError(f"an amount must be decimal dollars as text, not {str(text)[:40]!r}")
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no decimal amount of dollars") from error
    if not amount.is_finite() or not 0 <= amount <= MAX_USD or amount * MICRO != int(amount * MICRO):
        raise ValueError(f"{text!r} is not an amount of dollars with at most six decimals")
    return int(amount * MICRO)
