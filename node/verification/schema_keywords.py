"""What each keyword of JSON Schema demands of a value: one small function a keyword, lazily, in words."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

MAX_STEPS: Final = 200_000
"""Applications of a schema to a value in one check: about a second of work."""
MAX_DEPTH: Final = 64
"""Of a value, and of references that follow each other."""
REFERENCES: Final = ("#/$defs/", "#/definitions/")
Problems = Iterator[str]


def resolved(root: Any, reference: str) -> Any:
    """What a reference inside the schema leads to; KeyError when it leads nowhere."""
    if reference == "#":
        return root
    _, keyword, name = reference.split("/", 2)
    return root[keyword][name.replace("~1", "/").replace("~0", "~")]


TYPES: Final[Mapping[str, Callable[[object], bool]]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: (
        not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


class Run:
    """One check of one value."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self._left = MAX_STEPS

    def problems(self, schema: Any, value: object, path: str, depth: int) -> Problems:
        """What is wrong with a value, lazily, in words."""
        self._left -= 1
        if depth == 0 or self._left <= 0:
            yield f"{path} is nested too deep or too large to be checked"
            return
        if isinstance(schema, bool):
            if not schema:
                yield f"{path} must not be there"
            return
        for keyword, wanted in schema.items():
            if (check := KEYWORDS.get(keyword)) is not None:
                yield from check(self, wanted, value, path, depth, schema)

    def fits(self, schema: Any, value: object, path: str, depth: int) -> bool:
        """Whether nothing is wrong."""
        return next(self.problems(schema, value, path, depth), None) is None


Check = Callable[[Run, Any, Any, str, int, Mapping[str, Any]], Problems]


def _type(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
    kinds = wanted if isinstance(wanted, list) else [wanted]
    if not any(TYPES[kind](value) for kind in kinds):
        yield f"{path} is no {' or '.join(kinds)}"


def _enum(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
    if not any(_same(one, value) for one in wanted):
        yield f"{path} is none of {json.dumps(wanted)[:120]}"


def _const(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
    if not _same(wanted, value):
        yield f"{path} is not {json.dumps(wanted)[:120]}"


def _reference(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
    yield from run.problems(resolved(run.root, wanted), value, path, depth - 1)


def _properties(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
    if isinstance(value, dict):
        for name, part in wanted.items():
            if name in value:
                yield from run.problems(part, value[name], f"{path}.{name[:40]}", depth - 1)


def _required(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
    if isinstance(value, dict):
        yield from (f"{path} has no {name[:40]!r}" for name in wanted if name not in value)


def _additional(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
    if isinstance(value, dict):
        for name in value.keys() - schema.get("properties", {}).keys():
            yield from run.problems(wanted, value[name], f"{path}.{name[:40]}", depth - 1)


def _prefix(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
    if isinstance(value, list):
        for at, (part, one) in enumerate(zip(wanted, value, strict=False)):
            yield from run.problems(part, one, f"{path}[{at}]", depth - 1)


def _items(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
    if isinstance(value, list):
        first = len(schema.get("prefixItems", ()))
        for at, one in enumerate(value[first:], first):
            yield from run.problems(wanted, one, f"{path}[{at}]", depth - 1)


def _unique(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
    if wanted and isinstance(value, list):
        written = {json.dumps(_normal(one), sort_keys=True) for one in value}
        if len(written) < len(value):
            yield f"{path} has an item twice"


def _all_of(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
    for part in wanted:
        yield from run.problems(part, value, path, depth - 1)


def _any_of(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
    if not any(run.fits(part, value, path, depth - 1) for part in wanted):
        yield f"{path} fits none of {len(wanted)} allowed forms"


def _one_of(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
    fitting = sum(run.fits(part, value, path, depth - 1) for part in wanted)
    if fitting != 1:
        yield f"{path} fits {fitting} of {len(wanted)} forms, not exactly one"


def _not(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
    if run.fits(wanted, value, path, depth - 1):
        yield f"{path} has a form that is ruled out"


def _bound(kind: type | tuple[type, ...], size: Callable[[Any], float], holds: Callable[[float, float], bool],
           words: str) -> Check:  # fmt: skip
    """A check of a number, or of a length."""

    def check(run: Run, wanted: Any, value: Any, path: str, depth: int, schema: Mapping[str, Any]) -> Problems:
        if isinstance(value, kind) and not isinstance(value, bool) and not holds(size(value), wanted):
            yield f"{path} is {words} {wanted:g}"

    return check


def _is_multiple(value: float, of: float) -> bool:
    """In decimals, as people mean it: .3 is a multiple of .1, though its double is not of that of .1."""
    share = value / of
    return math.isfinite(share) and math.isclose(share, round(share), rel_tol=0, abs_tol=1e-9)


NUMBER: Final = (int, float)
KEYWORDS: Final[Mapping[str, Check]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "$ref": _reference,
    "properties": _properties,
    "required": _required,
    "additionalProperties": _additional,
    "prefixItems": _prefix,
    "items": _items,
    "uniqueItems": _unique,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "minimum": _bound(NUMBER, lambda one: one, lambda one, least: one >= least, "below"),
    "maximum": _bound(NUMBER, lambda one: one, lambda one, most: one <= most, "above"),
    "exclusiveMinimum": _bound(NUMBER, lambda one: one, lambda one, least: one > least, "not above"),
    "exclusiveMaximum": _bound(NUMBER, lambda one: one, lambda one, most: one < most, "not below"),
    "multipleOf": _bound(NUMBER, lambda one: one, _is_multiple, "no multiple of"),
    "minLength": _bound(str, len, lambda one, least: one >= least, "shorter than"),
    "maxLength": _bound(str, len, lambda one, most: one <= most, "longer than"),
    "minItems": _bound(list, len, lambda one, least: one >= least, "shorter than"),
    "maxItems": _bound(list, len, lambda one, most: one <= most, "longer than"),
    "minProperties": _bound(dict, len, lambda one, least: one >= least, "smaller than"),
    "maxProperties": _bound(dict, len, lambda one, most: one <= most, "larger than"),
}


def _normal(value: object) -> object:
    """A value that is written like every value that it equals: 1.0 as 1."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_normal(one) for one in value]
        case dict():
            return {name: _normal(one) for name, one in value.items()}
        case _:
            return value


def _same(first: object, second: object) -> bool:
    """Equality of JSON values: true is not 1, and 1 is 1.0."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_same, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_same(first[name], second[name]) for name in first)
    is_comparable = type(first) is type(second) or (type(first) in NUMBER and type(second) in NUMBER)
    return is_comparable and first == second
