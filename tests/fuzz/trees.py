"""Mutations of decoded values (msgpack, JSON): right in form, wrong in content, or wrong in one place only."""

import json
import math
from random import Random
from typing import Any, Literal

import msgpack

DEEP = "@@DEEP@@"
"""Stands for a nesting that the encoders themselves would refuse; replaced in what they made."""
LEAVES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 64, 255, 256, 4096, 65_535, 65_536, 1_000_000, 1_000_001, 10**15, 2**31, 2**53,
    2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 0.0, -0.0, 0.5, 1e-308, 1e308, -1e308, math.nan, math.inf,
    -math.inf, "", "a", "0", "\0", "é", "\ud800", "\u202e", "/", "..", "a" * 64, "a" * 65, "a" * 501, "a" * 5000,
    "text/plain", "application/json", [], {}, [[]], {"": 0}, [0] * 17, [None] * 300, {"t": "ping"},
)  # fmt: skip
NUMBERS = (0, -1, 1e308, -1e308, 5e-324, 2**53, 2**63 - 1, 2**64, 10**400)
"""The last two are no msgpack: there, they leave the input as it was."""
BINARY: tuple[bytes, ...] = (
    b"",
    b"\0",
    bytes(16),
    bytes(31),
    bytes(32),
    bytes(33),
    bytes(64),
    bytes(4097),
    b"\xff" * 32,
)
LETTERS = ("", " ", "\n", "A", "\0", "é", "\ud83d", "\u0130", "-", "/", "9")
DEPTHS = (600, 1_100, 4_000, 50_000)
"""Around and above Python's recursion limit and every parser's own."""
HUGE = 5_000
"""Items: above every list limit."""
MAX_GROWN_BYTES = 2**17
"""What one growth may come to; two of them on top of each other would otherwise fill the memory."""

TreeForm = Literal["msgpack", "json"]
Slot = tuple[Any, Any]
"""A container and a key or index in it."""


def mutated(rng: Random, data: bytes, other: bytes, form: TreeForm) -> bytes:
    """`data` decoded, changed in one place, encoded; `data` itself, if it does not decode any more."""
    try:
        root = [_decode(data, form)]
        donor = [_decode(other, form)]
        _change(rng, root, donor, form)
        return _deepened(rng, _encode(root[0], form), form)
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException):
        return data


def _decode(data: bytes, form: TreeForm) -> Any:
    if form == "json":
        return json.loads(data)
    return msgpack.unpackb(data, raw=False, strict_map_key=False, unicode_errors="surrogatepass")


def _encode(value: Any, form: TreeForm) -> bytes:
    if form == "json":
        return json.dumps(value).encode()
    packed = msgpack.packb(value, use_bin_type=True, unicode_errors="surrogatepass")
    return bytes(packed)


def _slots(root: list[Any]) -> list[Slot]:
    """Every place in the tree, the root's own included."""
    found: list[Slot] = []
    waiting: list[Any] = [root]
    while waiting and len(found) < 10_000:
        container = waiting.pop()
        keys = list(container) if isinstance(container, dict) else range(len(container))
        for key in keys:
            found.append((container, key))
            if isinstance(container[key], dict | list):
                waiting.append(container[key])
    return found


def _change(rng: Random, root: list[Any], donor: list[Any], form: TreeForm) -> None:
    container, key = rng.choice(_slots(root))
    value = container[key]
    match rng.randrange(10):
        case 0:
            container[key] = rng.choice(LEAVES if form == "json" or rng.random() < 0.7 else BINARY)
        case 1:
            there, at = rng.choice(_slots(donor))
            container[key] = there[at]
        case 2:
            if container is not root:
                del container[key]
        case 3:
            _add(rng, container, value)
        case 4:
            if isinstance(container, dict):
                container[rng.choice(("", "x", "t", key * 2 if isinstance(key, str) else 0))] = container.pop(key)
        case 5:
            container[key] = _nested(rng, value)
        case 6:
            container[key] = _grown(rng, value, form)
        case 7:
            _flood(rng, container)
        case _:
            container[key] = _varied(rng, value, form)


def _flood(rng: Random, container: Any) -> None:
    """Every number beside this one becomes the same extreme: sums and products overflow."""
    leaf = rng.choice(NUMBERS)
    for key in list(container) if isinstance(container, dict) else range(len(container)):
        if isinstance(container[key], int | float) and not isinstance(container[key], bool):
            container[key] = leaf


def _add(rng: Random, container: Any, value: Any) -> None:
    if isinstance(container, dict):
        container[f"k{rng.randrange(100)}"] = value
    else:
        container.insert(rng.randrange(len(container) + 1), value)


def _nested(rng: Random, value: Any) -> Any:
    """The value inside lists or maps; seldom, a nesting beyond every limit."""
    if rng.random() < 0.15:
        return DEEP
    is_list = rng.random() < 0.7
    for _ in range(rng.choice((1, 2, 30, 70, 300))):
        value = [value] if is_list else {"a": value}
    return value


def _deepened(rng: Random, data: bytes, form: TreeForm) -> bytes:
    """Put the nesting where its stand-in is."""
    depth = rng.choice(DEPTHS)
    if form == "json":
        return data.replace(f'"{DEEP}"'.encode(), b"[" * depth + b"]" * depth)
    return data.replace(bytes([0xA0 + len(DEEP)]) + DEEP.encode(), b"\x91" * depth + b"\x90")


def _grown(rng: Random, value: Any, form: TreeForm) -> Any:
    """Much more of the same."""
    many = rng.choice((2, 3, 9, 40, 300)) if rng.random() < 0.9 else HUGE
    many = min(many, 1 + MAX_GROWN_BYTES // (1 + len(_encode(value, form))))
    match value:
        case str() | bytes():
            return value * many
        case list():
            return (value or [0]) * many
        case dict():
            return {**value, **{f"x{number}": 0 for number in range(many)}}
        case _:
            return [value] * many


def _varied(rng: Random, value: Any, form: TreeForm) -> Any:
    """The same kind of value, a little different."""
    match value:
        case bool():
            return not value
        case int():
            return value + rng.choice((-1, 1, -value, value, 2**32, -(2**40)))
        case float():
            return rng.choice((value * 10, -value, value + 1, value * 1e300, value / 1e300, 0.0))
        case str() if value.startswith("{") and form == "json" and rng.random() < 0.7:
            # Text may hold another encoded value: a plan does.
            return mutated(rng, value.encode(), value.encode(), form).decode()
        case str():
            at = rng.randrange(len(value) + 1)
            return (
                value[:at]
                + rng.choice(("", " ", "\n", "A", "\0", "é", "\ud83d", "\u0130", "-", "/", "9"))
                + value[at + 1 :]
            )
        case bytes() if value:
            if rng.random() < 0.3 and form == "msgpack":
                # Bytes may hold another encoded value: signed terms do.
                return mutated(rng, value, value, form)
            at = rng.randrange(len(value))
            return rng.choice((value[:at], value + b"\0", value[:at] + rng.randbytes(1) + value[at + 1 :]))
        case list() if value:
            return rng.choice((value[::-1], value[:-1], value + value[:1], value[: rng.randrange(len(value))]))
        case dict() if value:
            dropped = rng.choice(list(value))
            return {name: inner for name, inner in value.items() if name != dropped}
        case _:
            return rng.choice(LEAVES)
