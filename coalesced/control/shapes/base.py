"""Answers that say only how it went."""

from typing import TypedDict


class Error(TypedDict):
    schema: str
    code: str
    text: str
    exit_code: int


class Ok(TypedDict):
    schema: str
    text: str


class Problem(TypedDict):
    text: str
    fix: str
