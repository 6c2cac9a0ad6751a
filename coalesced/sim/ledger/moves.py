"""What several scripts do or look at."""

from coalesced.sim.ledger.machine import KeyValues
from coalesced.sim.ledger.node import EPOCH_UNIX_MS
from coalesced.sim.ledger.table import Table
from coalesced.testnet.byzantine import forge
from protocol.consensus import Block, ChangeVote, NewView, Proposal, ViewChange


def decide_at_one(t: Table, at: int) -> None:
    """Everybody prepares what the first primary proposed; the COMMITs reach one replica, and nothing else anyone."""
    t.drop("tx")
    t.deliver("proposal")
    t.deliver("prepare")
    t.deliver("commit", to=at)
    t.drop()
    t.expect_heights(1, at)


def old_proof(t: Table) -> NewView:
    """A NEW-VIEW at height 2 with a true proof of the block at height 1, as if two honest members had asked for it."""
    chain, block = t.genesis.chain, t.nodes[0].disk.blocks[0].block
    proof = forge.certificate([t.key(at) for at in (0, 1, 2)], "prepare", chain, 1, 0, block.hash)
    claim = forge.view_change(t.key(1), chain, 2, 1, (0, block.hash)).change
    others = [forge.view_change(t.key(at), chain, 2, 1).change for at in (0, 2)]
    vote = forge.vote(t.key(1), "prepare", chain, 1, 1, block.hash)
    return NewView(changes=(claim, *others), prepared=proof, block=block.block, vote=vote)


def changes_flying(t: Table) -> list[ChangeVote]:
    """The VIEW-CHANGEs that fly, one of each signer."""
    flying = [message.change for _, _, message in t.flying if isinstance(message, ViewChange)]
    return list({change.signer: change for change in flying}.values())


def view_change_of(t: Table, at: int) -> ViewChange:
    """The VIEW-CHANGE that this replica sent."""
    return next(message for frm, _, message in t.flying if frm == at and isinstance(message, ViewChange))


def first_block(t: Table, text: str, *, view: int, proposer: int) -> Block:
    """A well-formed block 1 with one transaction that nobody submitted."""
    tx = f"set {text} 1".encode()
    at_ms = EPOCH_UNIX_MS + 1000 + int(t.now_s * 1000)
    state = KeyValues().apply(t.genesis.state, [tx], height=1, time_unix_ms=at_ms)
    return forge.first_block(
        t.key(proposer), t.genesis.chain, t.genesis.members, tx, KeyValues().root(state), at_ms, view
    )


def proposal_of(t: Table, text: str) -> Proposal:
    """A proposal of the first primary, which lies; the transaction in it is a client's."""
    block = first_block(t, text, view=0, proposer=0)
    t.rules.submitted.update(block.txs)
    return forge.proposal(t.key(0), block, 0)
