"""The TypedDicts that clients are written against say exactly what the views on the wire say."""

import types
import typing
from collections.abc import Sequence

import msgspec
import pytest

from coalesced.control import shapes
from node import views

VIEWS = {
    name.removesuffix("View"): kind
    for name, kind in vars(views).items()
    if isinstance(kind, type) and issubclass(kind, views.View | views.Part) and kind not in (views.View, views.Part)
}
REQUESTS = {
    "AskRequest",
    "BuyPriorsRequest",
    "CertifyRequest",
    "InputFile",
    "KeepRequest",
    "LeakRequest",
    "SellRequest",
    "SkillTestRequest",
}


def in_json(kind: object) -> str:
    """A type by what it is in JSON, for both sides alike."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Annotated, typing.Required):
        return in_json(arguments[0])
    if origin is typing.Literal:
        return "str"
    if origin in (typing.Union, types.UnionType):
        return "|".join(sorted({in_json(argument) for argument in arguments}))
    if origin in (tuple, list, Sequence):
        return f"list[{in_json(arguments[0])}]"
    if origin is dict:
        return f"dict[{in_json(arguments[1])}]"
    assert isinstance(kind, type)
    return kind.__name__.removesuffix("View")


@pytest.mark.parametrize("name", VIEWS)
def test_a_shape_has_the_fields_and_types_of_its_view(name: str) -> None:
    view, shape = VIEWS[name], getattr(shapes, name)
    expected = {field.name: in_json(field.type) for field in msgspec.structs.fields(view)}
    if issubclass(view, views.View) and name not in REQUESTS:
        expected["schema"] = "str"
    if issubclass(view, views.Part) and view.__struct_config__.tag_field:
        expected[view.__struct_config__.tag_field] = "str"
    assert {key: in_json(kind) for key, kind in typing.get_type_hints(shape).items()} == expected


def test_every_shape_belongs_to_a_view() -> None:
    named = {name for name, kind in vars(shapes).items() if typing.is_typeddict(kind)}
    assert named == set(VIEWS)


def test_a_schema_is_named_once() -> None:
    tags = [kind.__struct_config__.tag for kind in VIEWS.values() if issubclass(kind, views.View)]
    assert len(tags) == len(set(tags))
    assert all(str(tag).startswith("coalesced.") and str(tag).endswith("/1") for tag in tags)
