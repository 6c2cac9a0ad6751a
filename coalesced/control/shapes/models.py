"""A model that its owner sells."""

from typing import Required, TypedDict


class TokenRate(TypedDict):
    read_micro: int
    written_micro: int


class ModelSource(TypedDict, total=False):
    via: Required[str]
    url: Required[str]
    model: Required[str]
    kind: str
    key_env: str
    key_file: str
    at_once: int
    per_minute: int | None
    max_tokens: int
    price: TokenRate | None
    cost: TokenRate | None
    figures: str
