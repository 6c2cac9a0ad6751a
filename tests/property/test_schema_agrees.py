"""Our check of JSON Schema against the library's, on any schema that ours takes: the same verdict on the same value."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.tasks.verify import FULL_SCORE_PPM
from node.verification.schema import check_schema, read_schema

jsonschema = pytest.importorskip("jsonschema")

NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, 1.5, -2.5]) | st.text("ab", max_size=3)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
SIZES = st.integers(0, 3)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=2)
    optional: dict[str, st.SearchStrategy[Any]] = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
        "enum": st.lists(VALUES, max_size=3),
        "const": VALUES,
        "properties": st.dictionaries(NAMES, inner, max_size=2),
        "required": st.lists(NAMES, max_size=2, unique=True),
        "additionalProperties": inner,
        "prefixItems": several,
        "items": inner,
        "uniqueItems": st.booleans(),
        "allOf": several,
        "anyOf": several,
        "oneOf": several,
        "not": inner,
        "minimum": st.integers(-2, 2),
        "maximum": st.integers(-2, 2),
        "exclusiveMinimum": st.integers(-2, 2),
        "exclusiveMaximum": st.integers(-2, 2),
        "multipleOf": st.sampled_from([1, 2, 0.5, 1.5]),
        "minLength": SIZES,
        "maxLength": SIZES,
        "minItems": SIZES,
        "maxItems": SIZES,
        "minProperties": SIZES,
        "maxProperties": SIZES,
        "$ref": st.sampled_from(["#/$defs/x", "#/$defs/y"]),
    }
    return st.sets(st.sampled_from(sorted(optional)), min_size=1, max_size=3).flatmap(
        lambda chosen: st.fixed_dictionaries({name: optional[name] for name in sorted(chosen)})
    )


FLAT = st.booleans() | st.fixed_dictionaries({"type": TYPES})
SCHEMAS = st.recursive(FLAT, _schemas, max_leaves=6)


@given(SCHEMAS, FLAT, FLAT, VALUES)
def test_our_verdict_is_the_librarys(schema: Any, x: Any, y: Any, value: Any) -> None:
    whole = {"$defs": {"x": x, "y": y}, "allOf": [schema]}
    ours = check_schema(read_schema(json.dumps(whole)), json.dumps(value)).score_ppm == FULL_SCORE_PPM
    theirs = jsonschema.Draft202012Validator(whole).is_valid(value)
    assert ours == theirs, (whole, value)
