"""The JSON Canonicalization Scheme (RFC 8785): one byte form for one JSON value, so that it can be hashed and signed.

A part of it, chosen so that no two implementations can differ: numbers are integers of at most 2^53 - 1 (RFC 7493,
2.2), and the names in an object hold no character above U+FFFF, so that order by code point is the order by UTF-16
unit that the RFC asks for. What is outside is refused, never rounded or reordered.
"""

import json
from collections.abc import Sequence
from typing import Final

Json = None | bool | int | str | Sequence["Json"] | dict[str, "Json"]

MAX_INTEGER: Final = 2**53 - 1
MAX_DEPTH: Final = 32
"""An agent card nests seven deep."""


class JcsError(ValueError):
    """A value has no canonical form here, or bytes are not one."""


def canonical(value: object) -> bytes:
    """The canonical bytes of `value`: None, bool, int, str, lists and tuples, dicts with str keys; else JcsError."""
    _check(value, MAX_DEPTH)
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise JcsError("a text holds half of a surrogate pair, which has no UTF-8 form") from error


def parse(data: bytes) -> Json:
    """The value in JSON of any spacing and order; JcsError for what `canonical` could not write, or a name twice."""
    try:
        value: Json = json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_float=_no_fraction,
            parse_constant=_no_fraction,
            parse_int=_integer,
        )
    except JcsError:
        raise
    except (ValueError, RecursionError) as error:
        raise JcsError(f"these bytes are not JSON in UTF-8: {str(error)[:200]}") from error
    _check(value, MAX_DEPTH)
    return value


def parse_canonical(data: bytes) -> Json:
    """The value in `data`, which must be its canonical form byte for byte; else JcsError."""
    value = parse(data)
    if canonical(value) != data:
        raise JcsError("this JSON is not in its canonical form (RFC 8785)")
    return value


def _check(value: object, depth: int) -> None:
    if depth == 0:
        raise JcsError(f"a value nests deeper than {MAX_DEPTH} levels")
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise JcsError(f"an integer of {value.bit_length()} bits is over the limit of 2^53 - 1: write it as text")
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item, depth - 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_name(name)
            _check(item, depth - 1)
    else:
        raise JcsError(f"a {type(value).__name__} has no canonical form: write integers, texts, lists and objects")


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise JcsError(f"a name in an object is a {type(name).__name__}: write a text")
    if name and max(name) > "\uffff":
        raise JcsError(f"the name {name[:40]!r} holds a character above U+FFFF, where implementations sort differently")


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise JcsError("an object has one name twice")
    return made


def _no_fraction(text: str) -> Json:
    raise JcsError(f"{text[:40]} is not an integer")


def _integer(text: str) -> int:
    if len(text) > len(str(-MAX_INTEGER)):
        raise JcsError(f"an integer of {len(text)} digits is over the limit of 2^53 - 1: write it as text")
    return int(text)
