"""What is fuzzed: one parser, the errors that it may raise for bytes it does not like, and real bytes that it likes."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal

Parse = Callable[[bytes], None]
Form = Literal["bytes", "text", "msgpack", "json", "script"]
"""How a corpus entry is built, which is how it is best mutated; `script` is a list of steps (scripts.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One entry point. Any exception outside `may_raise` is a finding, and so is spending more than `cpu_s`.

    `opened` gives the function to feed, with whatever it needs around it (a server, a directory). `seeds` gives real
    values for the corpus, the same ones every time. `share` scales this target's part of a run over all of them:
    under 1 for one that does far more than parse.
    """

    name: str
    form: Form
    opened: Callable[[], AbstractContextManager[Parse]]
    seeds: Callable[[], Iterable[bytes]]
    may_raise: tuple[type[Exception], ...] = ()
    share: float = 1.0
    cpu_s: float = 2.0
    max_bytes: int = 2**16

    def __post_init__(self) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9-]*", self.name), self.name


def plain(parse: Parse) -> Callable[[], AbstractContextManager[Parse]]:
    """A parser that needs nothing around it."""

    @contextmanager
    def opened() -> Iterator[Parse]:
        yield parse

    return opened
