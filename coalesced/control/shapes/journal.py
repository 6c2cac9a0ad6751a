"""The journal."""

from typing import TypedDict


class JournalRow(TypedDict):
    height: int
    at_unix_ms: int
    kind: str
    task_id: str
    text: str
    digest: str


class Journal(TypedDict):
    schema: str
    height: int
    entries: list[JournalRow]


class JournalEntry(TypedDict):
    schema: str
    height: int
    at_unix_ms: int
    kind: str
    previous: str
    digest: str
    body: dict[str, object]


class Verify(TypedDict):
    schema: str
    ok: bool
    checked: int
    head: str
    problem: str
