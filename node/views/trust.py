"""What is said about a peer on the community chain."""

from node.views.base import Part, View


class AnchorRow(Part, frozen=True, kw_only=True):
    """What one anchor's view comes to; `weight_ppm` is its share in the median."""

    anchor: str
    is_self: bool
    weight_ppm: int
    rate_ppm: int


class SaidRow(Part, frozen=True, kw_only=True):
    """What one client says, in jobs as they count today."""

    client: str
    successes: float
    failures: float
    ratings: int
    explored: int
    disputed: int
    unrated: int
    belief_ppm: int | None
    """How far this node believes the client; None where it has nothing to go by."""


class TrustView(View, frozen=True, kw_only=True, tag="coalesced.trust/1"):
    """One account as a contractor: evidence, decay, interval, both levels, and who said what."""

    peer: str
    did: str
    is_active: bool
    height: int
    kept_ppm: int
    """Of the evidence as it stood after the last rating, what is left by decay."""
    ratings: int
    explored: int
    disputed: int
    unrated: int
    bond: int
    successes: float
    failures: float
    level_1_ppm: int
    level_1_low_ppm: int
    """5 % lower bound."""
    as_printed_ppm: int
    """The paper's own formula, to compare with."""
    level_2_ppm: int | None
    fell_back: bool
    """Whether level 1 stands in for level 2: the anchors are too far apart, or know too little."""
    anchors: tuple[AnchorRow, ...]
    said: tuple[SaidRow, ...]
    own_jobs: int
    """Of this node with this peer, on the chain or not."""
    own_successes: int
