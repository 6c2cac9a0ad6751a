"""Asking for a form that is only wished for, since whoever asks checks the reply's form in any case."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from node.execute.errors import FormatError

T = TypeVar("T")


class WishedForm:
    """Of one model: its requests go out with their `response_format` until its endpoint refuses one, then without."""

    def __init__(self) -> None:
        self._is_taken = True

    async def asked(self, request: dict[str, Any], ask: Callable[[dict[str, Any]], Awaitable[T]]) -> T:
        """What `ask` gives for the request, or for the rest of it where the endpoint takes no form."""
        if self._is_taken:
            try:
                return await ask(request)
            except FormatError:
                self._is_taken = False
        return await ask({name: value for name, value in request.items() if name != "response_format"})
