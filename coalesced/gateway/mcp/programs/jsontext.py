"""One entry set in, or taken out of, a JSON file's text; every other byte of it stays.

Clients' files have comments and trailing commas (JSONC), an order and an indentation that are their owner's. So the
text is not parsed and written anew: the places of its members are found, and the text between them is cut or filled.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from coalesced.gateway.mcp.programs.errors import EditError

MAX_DEPTH: Final = 200
_GAP: Final = re.compile(r"(?:[\s\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_SAME_LINE: Final = re.compile(r"(?:[ \t]+|//[^\r\n]*|/\*[^\r\n]*?\*/)*")
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR: Final = re.compile(r"[^\s,\]}:\"/]+")


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object: where its name begins, and its value begins and ends."""

    name: str
    at: int
    value_at: int
    end: int
    value: "Value"


@dataclass(frozen=True, slots=True)
class Value:
    """A value: what it is, where it begins and ends, and its members if it is an object."""

    plain: Any
    at: int
    end: int
    members: tuple[Member, ...] = ()

    def member(self, name: str) -> Member | None:
        """The member of that name: the last, as every parser has it."""
        return next((one for one in reversed(self.members) if one.name == name), None)


def plain(text: str) -> dict[str, Any]:
    """What the text says; EditError when it is no JSON object. A file without content is an empty object."""
    return dict(_root(text).plain) if text.strip("\ufeff \t\r\n") else {}


def with_entry(text: str, group: str, name: str, entry: dict[str, Any]) -> str:
    """The text with `entry` as member `name` of the root's member `group`."""
    newline = "\r\n" if "\r\n" in text else "\n"
    if not text.strip("\ufeff \t\r\n"):
        return json.dumps({group: {name: entry}}, indent=2, ensure_ascii=False) + "\n"
    root = _root(text)
    held = root.member(group)
    if held is None:
        return _inserted(text, root, group, {name: entry}, newline)
    if not isinstance(held.value.plain, dict):
        raise EditError(f"its {group!r} is no object")
    there = held.value.member(name)
    if there is None:
        return _inserted(text, held.value, name, entry, newline)
    if newline in text[held.value.at : there.at]:
        shown = _written(entry, _indent_of(text, there.at), _step(text, held.value), newline)
    else:
        shown = json.dumps(entry, ensure_ascii=False)
    return text[: there.value_at] + shown + text[there.end :]


def without_entry(text: str, group: str, name: str) -> str:
    """The text without that member; as it was when there is none."""
    held = _root(text).member(group)
    there = held.value.member(name) if held is not None else None
    if held is None or there is None:
        return text
    start = len(text[: there.at].rstrip(" \t\r\n"))
    after = _past_gap(text, there.end)
    if text[after : after + 1] == ",":
        return text[:start] + text[after + 1 :]
    earlier = [one for one in held.value.members if one.end <= there.at]
    if not earlier:
        return text[:start] + text[there.end :]
    # It was the last, without a comma of its own: then the one before it goes.
    before = _past_gap(text, earlier[-1].end)
    return text[:before] + text[before + 1 : start] + text[there.end :]


def _inserted(text: str, holder: Value, name: str, entry: dict[str, Any], newline: str) -> str:
    """The text with one more member at the end of an object."""
    key = json.dumps(name, ensure_ascii=False)
    if not holder.members:
        outer = _indent_of(text, holder.at)
        step = _step(text, holder)
        shown = _written(entry, outer + step, step, newline)
        tail = text[holder.at + 1 : holder.end - 1].rstrip()  # comments, if anything
        return (
            f"{text[: holder.at + 1]}{tail}{newline}{outer}{step}{key}: {shown}{newline}{outer}{text[holder.end - 1 :]}"
        )
    last = holder.members[-1]
    if newline not in text[holder.at : last.at]:
        return f"{text[: last.end]}, {key}: {json.dumps(entry, ensure_ascii=False)}{text[last.end :]}"
    indent = _indent_of(text, last.at)
    shown = f"{newline}{indent}{key}: {_written(entry, indent, _step(text, holder), newline)}"
    after = _past_gap(text, last.end)
    if text[after : after + 1] == ",":
        line_end = _past_line(text, after + 1)
        return text[:line_end] + shown + "," + text[line_end:]
    line_end = _past_line(text, last.end)
    return text[: last.end] + "," + text[last.end : line_end] + shown + text[line_end:]


def _written(entry: dict[str, Any], indent: str, step: str, newline: str) -> str:
    lines = json.dumps(entry, indent=step, ensure_ascii=False).split("\n")
    return f"{newline}{indent}".join(lines)


def _indent_of(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _step(text: str, holder: Value) -> str:
    """By how much this file indents a member below its object; two spaces where it does not show."""
    if holder.members:
        outer, inner = _indent_of(text, holder.at), _indent_of(text, holder.members[0].at)
        if inner.startswith(outer) and len(inner) > len(outer):
            return inner[len(outer) :]
    found = re.search(r"\n([ \t]+)\"", text)
    return found.group(1) if found else "  "


def _root(text: str) -> Value:
    value, at = _value(text, _past_gap(text, 0), 0)
    if _past_gap(text, at) != len(text):
        raise _wrong(text, at, "more after the end of the object")
    if not isinstance(value.plain, dict):
        raise EditError("it holds no JSON object")
    return value


def _value(text: str, at: int, depth: int) -> tuple[Value, int]:
    if depth > MAX_DEPTH:
        raise EditError(f"it is nested deeper than {MAX_DEPTH}")
    match text[at : at + 1]:
        case "{":
            return _object(text, at, depth)
        case "[":
            return _array(text, at, depth)
        case '"':
            word, end = _string(text, at)
            return Value(word, at, end), end
        case _:
            found = _SCALAR.match(text, at)
            try:
                plain_value = json.loads(found.group()) if found else None
            except ValueError:
                found = None
            if found is None:
                raise _wrong(text, at, "no value")
            return Value(plain_value, at, found.end()), found.end()


def _object(text: str, at: int, depth: int) -> tuple[Value, int]:
    start, members = at, list[Member]()
    at = _past_gap(text, at + 1)
    while text[at : at + 1] != "}":
        name_at = at
        name, at = _string(text, at)
        at = _past_gap(text, at)
        if text[at : at + 1] != ":":
            raise _wrong(text, at, "no colon after a name")
        value, at = _value(text, _past_gap(text, at + 1), depth + 1)
        members.append(Member(name, name_at, value.at, value.end, value))
        at = _next(text, at, "}")
    return Value({one.name: one.value.plain for one in members}, start, at + 1, tuple(members)), at + 1


def _array(text: str, at: int, depth: int) -> tuple[Value, int]:
    start, items = at, list[Any]()
    at = _past_gap(text, at + 1)
    while text[at : at + 1] != "]":
        value, at = _value(text, at, depth + 1)
        items.append(value.plain)
        at = _next(text, at, "]")
    return Value(items, start, at + 1), at + 1


def _next(text: str, at: int, closing: str) -> int:
    """Past the comma after an item, or at the closing bracket."""
    at = _past_gap(text, at)
    if text[at : at + 1] == ",":
        return _past_gap(text, at + 1)
    if text[at : at + 1] != closing:
        raise _wrong(text, at, f"neither a comma nor {closing!r}")
    return at


def _string(text: str, at: int) -> tuple[str, int]:
    found = _STRING.match(text, at)
    if found is None:
        raise _wrong(text, at, "no string")
    try:
        return json.loads(found.group()), found.end()
    except ValueError as error:
        raise _wrong(text, at, "a string that cannot be read") from error


def _past_gap(text: str, at: int) -> int:
    found = _GAP.match(text, at)
    return found.end() if found is not None else at


def _past_line(text: str, at: int) -> int:
    """Past a comment that stands behind on the same line; it belongs to what stands before it."""
    found = _SAME_LINE.match(text, at)
    return at + len(found.group().rstrip()) if found is not None else at


def _wrong(text: str, at: int, what: str) -> EditError:
    return EditError(f"line {text.count(chr(10), 0, at) + 1}: {what}")
