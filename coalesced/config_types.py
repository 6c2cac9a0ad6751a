"""What a setting's type allows, in words, and what its author wrote about it."""

import ast
import inspect
import io
import textwrap
import tokenize
from functools import cache
from typing import Any

import msgspec
from msgspec.inspect import (
    BoolType,
    DictType,
    FloatType,
    IntType,
    ListType,
    LiteralType,
    NoneType,
    StrType,
    StructType,
    UnionType,
    VarTupleType,
    type_info,
)


def allowed(kind: object) -> str:
    """What may be written for a setting of type `kind`: "a whole number from 1 to 65535", "one of a, b"."""
    return _allowed(type_info(kind))


def _allowed(kind: Any) -> str:
    match kind:
        case BoolType():
            return "true or false"
        case IntType():
            return "a whole number" + _range(kind)
        case FloatType():
            return "a number" + _range(kind)
        case LiteralType():
            return "one of " + ", ".join(str(value) for value in kind.values)
        case StrType():
            longest = "" if kind.max_length is None else f" of at most {kind.max_length} characters"
            return "text" + longest + ("" if kind.pattern is None else f" that matches {kind.pattern}")
        case UnionType():
            return " or ".join(_allowed(option) for option in kind.types if not isinstance(option, NoneType))
        case VarTupleType() | ListType():
            return f"a list of: {_allowed(kind.item_type)}"
        case DictType() | StructType():
            return "a table"
        case _:
            return "something else"


def _range(kind: IntType | FloatType) -> str:
    parts = []
    if kind.gt is not None:
        parts.append(f"above {_figure(kind.gt)}")
    if kind.ge is not None:
        parts.append(f"from {_figure(kind.ge)}")
    if kind.lt is not None:
        parts.append(f"below {_figure(kind.lt)}")
    if kind.le is not None:
        parts.append(f"to {_figure(kind.le)}")
    return "".join(" " + part for part in parts)


def _figure(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e16 else f"{value:g}"


def is_list(kind: object) -> bool:
    """Whether a setting of type `kind` holds several values."""
    return isinstance(type_info(kind), VarTupleType | ListType)


def is_table(kind: object) -> bool:
    """Whether a setting of type `kind` holds named values."""
    return isinstance(type_info(kind), DictType | StructType)


def fields_of(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """The settings of a section."""
    return msgspec.structs.fields(kind)


@cache
def documentation(kind: type[msgspec.Struct]) -> dict[str, str]:
    """What the source of `kind` says about each field: the text below it, else the comment beside it.

    A section that extends another has that one's fields too.
    """
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct:
            found |= _documented(base)
    return found


def _documented(kind: type[msgspec.Struct]) -> dict[str, str]:
    source = textwrap.dedent(inspect.getsource(kind))
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    comments = _comments(source)
    found: dict[str, str] = {}
    for at, statement in enumerate(body.body):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        follower = body.body[at + 1] if at + 1 < len(body.body) else None
        text = _docstring(follower) or comments.get(statement.end_lineno or 0, "")
        found[statement.target.id] = " ".join(text.split())
    return found


def _docstring(statement: ast.stmt | None) -> str:
    if (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    ):
        return statement.value.value
    return ""


def _comments(source: str) -> dict[int, str]:
    """Comments that stand beside code, by line."""
    return {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and token.line[: token.start[1]].strip()
    }
