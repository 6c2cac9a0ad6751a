"""JSON Schema: the part of it that bounds an answer's form, checked within fixed limits.

The keywords are those of draft 2020-12 that say something of one value, `$ref` inside the schema included. `pattern`
is refused, since a regular expression can be made to run for ever by whom it is applied to; `format` and other
annotations say nothing that is checked. `x-extracted` is ours: the value must stand in the input (`recomputation`).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from node.errors import UsageError
from node.tasks.verify import FULL_SCORE_PPM, Finding
from node.verification.schema_keywords import KEYWORDS, MAX_DEPTH, REFERENCES, TYPES, Problems, Run, resolved

MAX_SCHEMA_BYTES: Final = 64 * 2**10
MAX_SCHEMA_DEPTH: Final = 32
SHOWN: Final = 5
EXTRACTED: Final = "x-extracted"
ANNOTATIONS: Final = frozenset(
    {"$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "format",
     "deprecated", "readOnly", "writeOnly", EXTRACTED}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that was read: every keyword in it is known, every reference leads somewhere."""

    root: Any
    text: str


def read_schema(text: str) -> Schema:
    """A schema from its JSON text; UsageError names what is wrong or not supported."""
    if len(text.encode(errors="replace")) > MAX_SCHEMA_BYTES:
        raise UsageError(f"the schema is over the limit of {MAX_SCHEMA_BYTES} bytes")
    try:
        root = msgspec.json.decode(text.encode(errors="replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"the schema is not JSON: {error}") from error
    _admit(root, root, "$", MAX_SCHEMA_DEPTH)
    return Schema(root, text)


def check_schema(schema: Schema, answer: str) -> Finding:
    """Whether an answer is JSON that fits; the score is 0 or full."""
    try:
        value = msgspec.json.decode(answer.encode(errors="replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        return Finding(0, (f"it is not JSON: {error}",))
    run = Run(schema.root)
    problems = list(_first(run.problems(schema.root, value, "$", MAX_DEPTH)))
    return Finding(0, tuple(problems)) if problems else Finding(FULL_SCORE_PPM)


def extracted(schema: Schema, value: object) -> list[tuple[str, str]]:
    """(path, text) of the values that the schema says are taken from the input."""
    found: list[tuple[str, str]] = []
    _extracted(schema.root, schema.root, value, "$", MAX_DEPTH, found)
    return found


def _extracted(root: Any, schema: Any, value: object, path: str, depth: int, found: list[tuple[str, str]]) -> None:
    if depth == 0 or not isinstance(schema, dict):
        return
    if "$ref" in schema:
        _extracted(root, resolved(root, schema["$ref"]), value, path, depth - 1, found)
    if schema.get(EXTRACTED) is True and isinstance(value, str | int | float) and not isinstance(value, bool):
        found.append((path, str(value)))
    if isinstance(value, dict):
        for name, part in schema.get("properties", {}).items():
            if name in value:
                _extracted(root, part, value[name], f"{path}.{name}", depth - 1, found)
    if isinstance(value, list):
        for at, one in enumerate(value):
            _extracted(root, schema.get("items"), one, f"{path}[{at}]", depth - 1, found)


def _first(problems: Problems) -> Problems:
    for _, problem in zip(range(SHOWN), problems, strict=False):
        yield problem


# --- reading


def _admit(root: Any, schema: Any, path: str, depth: int) -> None:
    """UsageError for anything in `schema` that cannot be checked."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise UsageError(f"the schema at {path} is neither an object nor true or false")
    if depth == 0:
        raise UsageError(f"the schema is nested more than {MAX_SCHEMA_DEPTH} deep")
    for keyword, value in schema.items():
        if keyword not in KEYWORDS and keyword not in ANNOTATIONS:
            known = ", ".join(sorted(KEYWORDS))
            raise UsageError(f"the schema's keyword {keyword[:40]!r} at {path} is not supported; there are {known}")
        if not _is_formed(keyword, value):
            raise UsageError(f"the schema's {keyword} at {path} cannot be {json.dumps(value)[:80]}")
    if "$ref" in schema:
        _admit_reference(root, schema["$ref"])
    for name, part in _parts(schema):
        _admit(root, part, f"{path}.{name}", depth - 1)


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas inside a schema, with where they stand."""
    for keyword in ("$defs", "definitions", "properties"):
        for name, part in schema.get(keyword, {}).items():
            yield f"{keyword}.{name}", part
    for keyword in ("prefixItems", "allOf", "anyOf", "oneOf"):
        for at, part in enumerate(schema.get(keyword, ())):
            yield f"{keyword}[{at}]", part
    for keyword in ("items", "additionalProperties", "not"):
        if keyword in schema:
            yield keyword, schema[keyword]


def _admit_reference(root: Any, reference: object) -> None:
    """UsageError unless a reference leads to a definition of the same schema."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith(REFERENCES)):
        raise UsageError(f"the schema refers to {str(reference)[:80]!r}: write #, or #/$defs/NAME")
    try:
        resolved(root, reference)
    except (KeyError, TypeError):
        raise UsageError(f"the schema refers to {reference[:80]!r}, which is not in it") from None


def _is_formed(keyword: str, value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match keyword:
        case "type":
            kinds = value if isinstance(value, list) else [value]
            return bool(kinds) and all(isinstance(kind, str) and kind in TYPES for kind in kinds)
        case "enum":
            return isinstance(value, list)
        case "properties" | "$defs" | "definitions":
            return isinstance(value, dict)
        case "required":
            return isinstance(value, list) and all(isinstance(name, str) for name in value)
        case "prefixItems" | "allOf" | "anyOf" | "oneOf":
            return isinstance(value, list) and bool(value)
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return is_number
        case "multipleOf":
            return is_number and value > 0  # type: ignore[operator]  # a number, by the line above
        case "uniqueItems":
            return isinstance(value, bool)
        case "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties":
            return isinstance(value, int) and is_number and value >= 0
        case _:
            return True
