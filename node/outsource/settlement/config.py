"""The settings of how hired work is paid for."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0, le=10**6)]


class SettlementConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this node pays for work and is paid."""

    adapter: Literal["none", "credits"] = "none"
    """`none`: receipts say what is owed, and it is paid elsewhere. `credits`: the price is locked on the community
    chain before the work begins, a credit for each micro-dollar, and released when the result has passed its check."""
    lock_timeout_s: Seconds = 10.0
    """How long the client waits for its escrow to be final, and the seller to see it: two changes of the primary."""
    margin_s: Seconds = 60.0
    """Beyond the task's deadline, for the seller to ask for its pay; then whoever locked it takes it back."""
    dispute_after_s: Annotated[float, Meta(ge=0, le=10**6)] = 5.0
    """What a seller whose result was rejected gets to give the money back, before the arbiter is called."""
    refund_rejected: bool = True
    """As a seller: give back what was locked for a result that the client rejected. False: leave it to the arbiter."""
    transaction_s: Annotated[float, Meta(ge=0, le=60)] = 0.005
    """What a deal costs this machine in processor seconds, which is its fee: the chain takes none. Three transactions,
    each alone in a block of four members, took 1.6 ms to sign, check and execute, without disk and network."""
