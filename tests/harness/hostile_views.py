"""A node into every text of whose views a hostile peer has written, for whatever prints them."""

import types
import typing
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from coalesced.control.facade import Node
from node import views

FAKED = 10
"""How deep views may hold views."""


def filled(kind: Any, text: str, depth: int = FAKED) -> Any:
    """A value of that type with `text` wherever a text may stand; one item in each list."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is typing.Annotated:
        return filled(arguments[0], text, depth)
    if origin is Literal:
        return arguments[0]
    if origin in (typing.Union, types.UnionType):
        told = [one for one in arguments if one is not type(None)]
        return filled(told[0], text, depth) if depth else None
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return (filled(arguments[0], text, depth - 1),) if depth else ()
        return tuple(filled(one, text, depth) for one in arguments)
    if origin in (dict, typing.Mapping) or kind is dict:
        key, value = arguments or (str, str)
        return {filled(key, text, depth): filled(value, text, depth - 1)}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind, include_extras=True)
        return kind(**{one.name: filled(hints[one.name], text, depth - 1) for one in msgspec.structs.fields(kind)})
    plain: dict[Any, Any] = {str: text, int: 1, float: 1.0, bool: True, bytes: text.encode(errors="replace")}
    return plain.get(kind)


class HostileNode:
    """Answers every call with a view that is full of `text`."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __getattr__(self, name: str) -> Callable[..., Any]:
        told = get_type_hints(getattr(Node, name), include_extras=True)["return"]
        if get_origin(told) is AsyncIterator or "AsyncIterator" in str(told):
            return self._events
        if name in ("is_ready", "metrics"):
            return lambda: True if name == "is_ready" else b""

        async def answer(*_: Any, **__: Any) -> Any:
            if told == tuple[bytes, str]:
                return self.text.encode(errors="replace"), "text/plain"
            return filled(told, self.text)

        return answer

    def _events(self, *_: Any, **__: Any) -> AsyncIterator[views.EventView]:
        return self._told()

    async def _told(self) -> AsyncIterator[views.EventView]:
        event: views.EventView = filled(views.EventView, self.text)
        for name in get_args(get_type_hints(views.EventView, include_extras=True)["name"]):
            if name not in ("completed", "failed", "cancelled", "rejected"):
                yield msgspec.structs.replace(event, name=name)
        assert event.task is not None
        task = msgspec.structs.replace(event.task, state="completed", id="ab" * 16)
        yield msgspec.structs.replace(event, name="completed", task=task)
