"""What people type for money, durations and sizes, as click parameter types."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import click

from coalesced.cli import units

T = TypeVar("T")


class _Parsed(click.ParamType, Generic[T]):  # type: ignore[type-arg]  # generic in click 8.5 only
    """Runs a parser whose ValueError is the message for the user."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """The parsed value; a default passes through."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


MONEY = _Parsed("dollars", units.parse_money)
DURATION = _Parsed("duration", units.parse_duration)
RATE = _Parsed("read:written", units.parse_rate)
SIZE = _Parsed("size", units.parse_size)
