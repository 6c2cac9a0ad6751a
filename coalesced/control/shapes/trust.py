"""What is said about a peer on the community chain."""

from typing import TypedDict


class AnchorRow(TypedDict):
    anchor: str
    is_self: bool
    weight_ppm: int
    rate_ppm: int


class SaidRow(TypedDict):
    client: str
    successes: float
    failures: float
    ratings: int
    explored: int
    disputed: int
    unrated: int
    belief_ppm: int | None


class Trust(TypedDict):
    schema: str
    peer: str
    did: str
    is_active: bool
    height: int
    kept_ppm: int
    ratings: int
    explored: int
    disputed: int
    unrated: int
    bond: int
    successes: float
    failures: float
    level_1_ppm: int
    level_1_low_ppm: int
    as_printed_ppm: int
    level_2_ppm: int | None
    fell_back: bool
    anchors: list[AnchorRow]
    said: list[SaidRow]
    own_jobs: int
    own_successes: int
