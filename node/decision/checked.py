"""Values that are checked at the door: NaN, infinity, a sign or a range that is wrong never gets past construction.

msgspec checks annotations when it decodes; `Checked` applies the same annotations when a value is built in code.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Annotated, SupportsFloat

import msgspec
from msgspec import Meta
from msgspec.inspect import FloatType, IntType, LiteralType, NoneType, StructType, UnionType, VarTupleType, type_info
from msgspec.structs import force_setattr

Probability = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
"""A duration of at most about thirty years."""
Count = Annotated[float, Meta(ge=0, le=1e12)]
"""How often something happened; a fraction once age has discounted it."""
Whole = Annotated[int, Meta(ge=0, le=2**53)]
MicroFloat = Annotated[float, Meta(ge=0, le=1e18)]
"""Micro-dollars inside a computation; what is quoted, stored or signed is a whole number (protocol.fields.Micro)."""

_Door = Callable[[str, object], object]


class Checked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen value whose fields obey their annotations; ValueError names the field, the value and what to write."""

    def __post_init__(self) -> None:
        kind = type(self)
        for name, door in _doors(kind):
            given = getattr(self, name)
            taken = door(f"{kind.__name__}.{name}", given)
            if taken is not given:
                force_setattr(self, name, taken)


def number(name: str, value: object, low: float, high: float) -> float:
    """Return `value` as a finite float within [low, high]; ValueError otherwise."""
    if type(value) is float:
        if low <= value <= high:
            return value
    elif type(value) is int:
        if low <= value <= high:
            return float(value)
    elif isinstance(value, SupportsFloat) and not isinstance(value, bool):  # a numpy scalar
        return number(name, float(value), low, high)
    raise ValueError(f"{name} is {value!r}: write a finite number from {low:g} to {high:g}")


def whole(name: str, value: object, low: int, high: int) -> int:
    """Return `value` if it is an int within [low, high]; ValueError otherwise."""
    if type(value) is int and low <= value <= high:
        return value
    raise ValueError(f"{name} is {value!r}: write a whole number from {low} to {high}")


@cache
def _doors(kind: type[Checked]) -> tuple[tuple[str, _Door], ...]:
    """The check of each field of `kind`, from its annotation."""
    described = type_info(kind)
    assert isinstance(described, StructType)
    doors = ((field.name, _door(field.type)) for field in described.fields)
    return tuple((name, door) for name, door in doors if door is not None)


def _door(described: msgspec.inspect.Type) -> _Door | None:
    """The check of one annotated type; None where there is nothing to check at run time."""
    match described:
        case FloatType():
            low = -math.inf if described.ge is None else described.ge
            high = math.inf if described.le is None else described.le
            return lambda name, value: number(name, value, low, high)
        case IntType():
            least = -(2**63) if described.ge is None else described.ge
            most = 2**63 if described.le is None else described.le
            return lambda name, value: whole(name, value, least, most)
        case LiteralType():
            return _literal_door(tuple(described.values))
        case UnionType():
            inner = [_door(option) for option in described.types if not isinstance(option, NoneType)]
            if len(inner) != 1 or (only := inner[0]) is None:
                return None
            return lambda name, value: None if value is None else only(name, value)
        case VarTupleType():
            item = _door(described.item_type)
            return None if item is None else _tuple_door(item)
        case _:
            return None


def _literal_door(allowed: tuple[object, ...]) -> _Door:
    def check(name: str, value: object) -> object:
        if value not in allowed:
            raise ValueError(f"{name} is {value!r}: write one of {', '.join(map(str, allowed))}")
        return value

    return check


def _tuple_door(item: _Door) -> _Door:
    def check(name: str, value: object) -> object:
        if not isinstance(value, tuple):
            raise ValueError(f"{name} is {value!r}: write a tuple")  # noqa: TRY004 - one kind of error at this door
        return tuple(item(f"{name}[{index}]", one) for index, one in enumerate(value)) if value else value

    return check
