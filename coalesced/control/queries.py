"""What stands in the query of a control call's address, with its limits."""

from typing import Final

from aiohttp import web

from node.errors import UsageError

MAX_ROWS: Final = 10_000
"""A page of tasks or journal entries never holds more."""


def max_price(request: web.Request) -> int | None:
    """The price of a unit that is not to be exceeded, in micro-dollars; None where any may be asked."""
    text = request.query.get("max_price_micro")
    return None if text is None else whole(text, "max_price_micro", least=0, most=10**15)


def named(request: web.Request, name: str) -> str:
    """What stands in the query under that name; UsageError where nothing does."""
    value = request.query.get(name, "")
    if not value:
        raise UsageError(f"{request.path} needs ?{name}=...")
    return value


def whole(text: str, name: str, *, least: int, most: int) -> int:
    """`text` as a whole number within its limits; UsageError otherwise."""
    digits = text.isascii() and text.isdigit() and len(text) <= 18
    if not digits or not least <= int(text) <= most:
        raise UsageError(f"{name} {text[:40]!r} is not a whole number from {least} to {most}")
    return int(text)


def limit(request: web.Request, default: int) -> int:
    """How many rows are wanted."""
    return whole(request.query.get("limit", str(default)), "limit", least=1, most=MAX_ROWS)
