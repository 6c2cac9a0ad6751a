"""An audit of what is stored here, while blocks are added to it and pruned from it."""

from typing import Final

from node.community.audit import Audit
from node.env import Env
from node.errors import NodeError
from node.ledger.chain.machine import ChainMachine
from node.store.ledger_store import LedgerStore

ATTEMPTS: Final = 5
"""At a view of the chain that pruning does not overtake. Each has more than `keep_blocks` blocks of time."""


class OvertakenError(NodeError):
    """Blocks were pruned before they could be looked at: nothing is known to be wrong."""

    code = "busy"


async def audited(machine: ChainMachine, store: LedgerStore, env: Env) -> Audit:
    """Recompute all blocks that are kept, from the genesis or from the state before the first one.

    What is pruned meanwhile proves nothing wrong: then it begins anew at the blocks that are left. OvertakenError when
    that comes to no end.
    """
    for _ in range(ATTEMPTS):
        audit = await _attempt(machine, store, env)
        if audit.problem or await store.first_height() <= audit.height + 1:
            return audit
    raise OvertakenError("blocks are pruned here faster than they are verified: have it keep more (keep_blocks)")


async def _attempt(machine: ChainMachine, store: LedgerStore, env: Env) -> Audit:
    """One walk to the last block, or to the first one that is gone when its turn comes."""
    audit = Audit(machine)
    if (base := await store.base(machine)) is not None:
        audit.begin(base.header, base.certificate, await store.links(base.height), base.state)
    entries = await store.state_entries()
    while not audit.problem and (page := (await store.page(audit.height + 1)).blocks):
        await env.offload(audit.feed, page)
    if not audit.problem and audit.height == await store.height() and audit.height:
        # Unless blocks came meanwhile, what is kept of the scores has to be what the blocks lead to.
        kept = await store.state_entries()
        if kept == entries and list(audit.state.export()) != kept:
            audit.problem = f"the stored scores are not those that block {audit.height} leads to"
    return audit
