"""An agent that its owner sells."""

from typing import Required, TypedDict


class AgentSource(TypedDict, total=False):
    via: Required[str]
    card: Required[str]
    skill: str
    key: str
    token_file: str
    at_once: int
    cost_micro: int | None
    usual_s: float
    takes: list[str]
    gives: list[str]
