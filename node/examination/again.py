"""Whether a seller that seems to have changed may be attested again now. Pure.

An attestation costs the seller seconds of all its cores, and this node the checking: so a few a day, each seller less
often still, and a seller at which it came to nothing is left alone for longer each time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from node.wording import duration

DAY_MS: Final = 86_400_000
MOST_DOUBLINGS: Final = 10


class ExaminationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far this node examines sellers by itself."""

    again_per_day: Annotated[int, Meta(ge=0, le=10_000)] = 8
    """Attestations that this node asks for by itself in 24 hours, of all sellers that seem to have changed. 0: none."""
    again_per_seller_per_day: Annotated[int, Meta(ge=0, le=1000)] = 2
    """Of one seller: half of what a seller allows a peer by default."""
    backoff_s: Annotated[float, Meta(gt=0, le=86_400)] = 900.0
    """After one that was refused or did not hold, and twice as long after each further one."""
    size: Literal[256, 512, 1024, 2048, 4096] = 256
    """Rows of the matrices, for a seller that was never attested before; otherwise it is asked what it was asked last.
    256 takes a seller a tenth of a second, and shows that it can still be asked."""


@dataclass(frozen=True, slots=True)
class Asking:
    """One that this node asked for by itself."""

    peer: bytes
    unix_ms: int
    holds: bool


def why_not_now(before: Sequence[Asking], peer: bytes, now_unix_ms: int, config: ExaminationConfig) -> str:
    """Why this seller is not attested again now, as a sentence; empty when it is. `before`: oldest first."""
    today = [one for one in before if now_unix_ms - one.unix_ms < DAY_MS]
    of_peer = [one for one in today if one.peer == peer]
    if len(today) >= config.again_per_day:
        return f"this node asks for {config.again_per_day} a day by itself (examination.again_per_day)"
    if len(of_peer) >= config.again_per_seller_per_day:
        most = config.again_per_seller_per_day
        return f"of one seller this node asks for {most} a day by itself (examination.again_per_seller_per_day)"
    failed = 0
    for one in reversed(of_peer):
        if one.holds:
            break
        failed += 1
    if failed:
        rest_ms = config.backoff_s * 1000 * 2 ** min(failed - 1, MOST_DOUBLINGS)
        left_ms = of_peer[-1].unix_ms + rest_ms - now_unix_ms
        if left_ms > 0:
            return f"the last came to nothing: again in {duration(left_ms / 1000)}"
    return ""
