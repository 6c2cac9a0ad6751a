"""How far a node lets itself be put to the test."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class AttestationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Off until the owner allows a size: an attestation is seconds of all cores, given away."""

    max_size: Literal[0, 256, 512, 1024, 2048, 4096] = 0
    """Largest matrix that peers may ask for; 0 attests nothing. 2048 and 8 rounds are about 140 billion operations."""
    max_rounds: Annotated[int, Meta(ge=1, le=16)] = 8
    max_memory_mib: Literal[0, 16, 32, 64, 128, 256, 512, 1024] = 0
    """Largest memory that peers may ask to be filled; 0 fills none."""
    per_peer_per_day: Annotated[int, Meta(ge=1, le=1000)] = 4
    """One when a seller is met, and one whenever it seems to have changed."""
    per_day: Annotated[int, Meta(ge=1, le=10_000)] = 24
    """Of all peers together: keys are free."""
    timeout_s: Annotated[float, Meta(gt=0, le=600)] = 60.0
    """For any one step, on either side."""
