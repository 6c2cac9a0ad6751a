"""One table set in, or taken out of, a TOML file's text; every other line of it stays.

The tables `[group.name]` and `[group.name.*]` are found by their headings. A file that says the same in another way
(an inline table, dotted keys) is refused by its caller, which compares what both texts say.
"""

import json
import re
import tomllib
from itertools import pairwise
from typing import Any, Final

from coalesced.gateway.mcp.programs.errors import EditError

_HEADING: Final = re.compile(r"\s*\[")
_KEY: Final = re.compile(r"""\s*(?:"([^"\\]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*(\.?)""")


def plain(text: str) -> dict[str, Any]:
    """What the text says; EditError when it is no TOML."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise EditError(str(error)) from error


def with_entry(text: str, group: str, name: str, entry: dict[str, Any]) -> str:
    """The text with `entry` as table `group.name`: in its place, or at the end."""
    block = _block(f"{group}.{name}", entry)
    lines = text.splitlines(keepends=True)
    ranges = _ranges(lines, (group, name))
    if not ranges:
        # Python's parser lets a table be added to one that was written inline; others do not.
        if group in plain(text) and not _ranges(lines, (group,)):
            raise EditError(f"{group} is written as an inline table, which has to be changed by hand")
        gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
        return text + gap + block
    first = ranges[0][0]
    kept = _without(lines, ranges)
    return "".join([*kept[:first], block, *kept[first:]])


def without_entry(text: str, group: str, name: str) -> str:
    """The text without that table and the tables below it; as it was when there is none."""
    lines = text.splitlines(keepends=True)
    ranges = _ranges(lines, (group, name))
    if not ranges:
        return text
    first = ranges[0][0]
    kept = _without(lines, ranges)
    if first and first >= len(kept) and not kept[first - 1].strip():
        # The line that was put between the table and what stood above it.
        del kept[first - 1]
    return "".join(kept)


def _without(lines: list[str], ranges: list[tuple[int, int]]) -> list[str]:
    return [one for at, one in enumerate(lines) if not any(start <= at < end for start, end in ranges)]


def _ranges(lines: list[str], path: tuple[str, ...]) -> list[tuple[int, int]]:
    """From each heading of the table, or of one below it, to the last line that is not blank or a comment."""
    headings = [at for at, one in enumerate(lines) if _HEADING.match(one)]
    found = []
    for at, following in pairwise([*headings, len(lines)]):
        if _path(lines[at])[: len(path)] != path:
            continue
        end = following
        while end > at + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
            end -= 1
        found.append((at, end))
    return found


def _path(heading: str) -> tuple[str, ...]:
    """The keys of a heading `[a."b".c]`; none for what is no table's."""
    keys: list[str] = []
    at = heading.index("[") + 1
    while found := _KEY.match(heading, at):
        keys.append(next(key for key in found.groups()[:3] if key is not None))
        at = found.end()
        if not found.group(4):
            break
    return tuple(keys) if heading[at : at + 1] == "]" else ()


def _block(heading: str, entry: dict[str, Any]) -> str:
    own = "".join(f"{_name(key)} = {_value(value)}\n" for key, value in entry.items() if not isinstance(value, dict))
    below = [_block(f"{heading}.{_name(key)}", value) for key, value in entry.items() if isinstance(value, dict)]
    return "\n".join([f"[{heading}]\n{own}", *below])


def _name(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: object) -> str:
    match value:
        case bool() | int() | float() | str():
            # JSON's strings and numbers are TOML's, but for the character 7F.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            raise EditError(f"the entry holds a {type(value).__name__}, which has to be changed by hand")
