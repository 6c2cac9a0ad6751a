"""What an owner asks for."""

from collections.abc import Sequence
from typing import Required, TypedDict


class InputFile(TypedDict):
    name: str
    media_type: str
    data: bytes  # base64 in JSON: the encoder sees to it


class AskRequest(TypedDict, total=False):
    skill: Required[str]
    text: str
    files: Sequence[InputFile]
    budget_micro: int | None
    value_micro: int | None
    deadline_s: float | None
    prefer: str
    privacy: str | None
    regions: Sequence[str]
    effort: str | None
    least_level: str | None
    min_score_ppm: int | None
    verify: Sequence[str]
    result_schema: str
    idempotency_key: str
    parent: str
    policy: str
    only: str
    proofs: Sequence[str]
    only_to: Sequence[str]
    what_if: Sequence[str]
    dry_run: bool
    plan: str
    split: bool
    by: str
    skills: Sequence[str]
