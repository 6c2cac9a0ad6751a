"""Scripts in which a member lies: its messages are made by the script, with its real key."""

from coalesced.sim.ledger.moves import (
    changes_flying,
    decide_at_one,
    first_block,
    old_proof,
    proposal_of,
    view_change_of,
)
from coalesced.sim.ledger.table import Table
from coalesced.testnet.byzantine import forge
from node.ledger.pbft.state import Stage
from protocol.consensus import Blocks, NewView, block_hash


def votes_survive_crash() -> None:
    """After a crash a replica neither votes for nor proposes another block in the same view, nor goes back a view."""
    t = Table(4, liars={0})
    first, second = (proposal_of(t, text) for text in ("one", "two"))
    t.lie(0, first, 1)
    t.expect_stage(Stage.PREPARING, 1)
    t.crash(1)
    t.start(1)
    t.lie(0, second, 1)
    t.expect(t.replica(1).accepted == first, "the vote before the crash stands")

    t = Table(4)
    t.submit(0, "one")
    t.drop()
    t.crash(0)
    t.start(0)
    t.submit(0, "two")
    t.expect(t.replica(0).accepted is not None, "the proposal before the crash stands")
    t.drop()
    t.pass_s(1.0, 0)
    t.settle()
    t.expect_heights(2, 0, 1, 2, 3)

    t = Table(4, liars={0})
    t.submit(1, "waiting")
    t.time_out(1)
    t.crash(1)
    t.start(1)
    t.lie(0, proposal_of(t, "late"), 1)
    t.expect(t.replica(1).view == 1, "the view that was asked for stands")
    t.expect(t.replica(1).accepted is None, "nothing is accepted in the view that was left")


def equivocating_primary() -> None:
    """A primary that proposes two blocks, or one that leads to another state, is found out and holds nobody up."""
    t = Table(4, liars={0})
    one, two = (proposal_of(t, text) for text in ("one", "two"))
    t.lie(0, one, 1, 2)
    t.lie(0, two, 3, 1)
    t.expect(t.replica(1).accepted == one, "the first proposal stands")
    t.deliver()
    t.expect_heights(0, 1, 2, 3)
    t.expect(t.rules.accused == {t.key(0).public_key}, "there is evidence against the primary")
    for at in (1, 2, 3):
        t.submit(at, f"honest{at}")
    t.time_out(1, 2, 3)
    t.settle(among=(1, 2, 3))
    t.expect(t.height(2) >= 1, "the others go on")

    t = Table(4, liars={0})
    true = proposal_of(t, "one").block
    t.lie(0, forge.proposal(t.key(0), forge.block(true, true.txs, bytes(32)), 0), 1, 2, 3)
    t.expect_stage(Stage.IDLE, 1, 2, 3)


def primary_must_obey_new_view() -> None:
    """Backups work out for themselves what a NEW-VIEW is bound to, and take nothing else from its primary."""
    t = Table(4, liars={1})
    t.submit(0, "first")
    decide_at_one(t, 3)
    t.time_out(0, 2)
    changes = changes_flying(t)
    own = forge.view_change(t.key(1), t.genesis.chain, 1, 1).change
    rival = first_block(t, "rival", view=1, proposer=1)
    proposal = forge.proposal(t.key(1), rival, 1)
    t.lie(1, NewView(changes=(*changes, own)), 0, 2)
    t.lie(1, proposal, 0, 2)
    t.expect_stage(Stage.CHANGING, 0, 2)
    made_up = forge.certificate([t.key(1)], "prepare", t.genesis.chain, 1, 0, block_hash(rival.header))
    t.lie(1, NewView(changes=(*changes, own), prepared=made_up, block=rival, vote=proposal.vote), 0, 2)
    t.expect_stage(Stage.CHANGING, 0, 2)
    bound = view_change_of(t, 0)
    assert bound.block is not None
    assert bound.prepared is not None
    vote = forge.vote(t.key(1), "prepare", t.genesis.chain, 1, 1, block_hash(bound.block.header))
    true = NewView(changes=(*changes, own), prepared=bound.prepared, block=bound.block, vote=vote)
    t.lie(1, true, 2)
    t.lie(1, proposal, 2, 0)
    t.expect_stage(Stage.PREPARING, 2)
    t.lie(1, true, 0)
    t.deliver("prepare commit", to=(0, 2))
    t.lie(1, forge.vote(t.key(1), "commit", t.genesis.chain, 1, 1, block_hash(bound.block.header)), 0, 2)
    t.settle(among=(0, 2))
    t.expect(t.block(0, 1) == t.block(3, 1), "the block that was prepared is committed")

    t = Table(4, liars={1})
    t.submit(0, "first")
    decide_at_one(t, 3)
    t.time_out(0, 2)
    bound, own = view_change_of(t, 0), forge.view_change(t.key(1), t.genesis.chain, 1, 1).change
    assert bound.block is not None
    vote = forge.vote(t.key(1), "prepare", t.genesis.chain, 1, 1, block_hash(bound.block.header))
    t.nodes[2].effects_until_crash = 1  # it knows that it has entered, not that it has voted
    t.lie(1, NewView(changes=(*changes_flying(t), own), prepared=bound.prepared, block=bound.block, vote=vote), 2)
    t.start(2)
    t.lie(1, forge.proposal(t.key(1), first_block(t, "rival", view=1, proposer=1), 1), 2)
    t.expect(t.replica(2).view == 1 and t.replica(2).accepted is None, "after a crash the view is still bound")


def short_new_view() -> None:
    """A NEW-VIEW with fewer than q members' VIEW-CHANGEs begins nothing."""
    t = Table(4, liars={1})
    t.submit(0, "first")
    t.drop()
    changes = [forge.view_change(t.key(at), t.genesis.chain, 1, 1).change for at in (1, 7, 8)]
    for short in ((changes[0],), (changes[0], changes[0], changes[0]), tuple(changes)):
        t.lie(1, NewView(changes=short), 0, 2, 3)
        for at in (0, 2, 3):
            t.expect(t.replica(at).view == 0, f"{len(short)} VIEW-CHANGEs of one member do not move replica {at}")
    t.expect(set(t.offences) == {"bad_new_view"}, "the sender is charged")
    t.pass_s(1.0, 0)
    t.settle(among=(0, 2, 3))
    t.expect_heights(1, 0, 2, 3)


def forged_height() -> None:
    """A VIEW-CHANGE that names a height nobody has reached hides no prepared block, and stops nobody."""
    t = Table(4, liars={1})
    t.submit(0, "first")
    decide_at_one(t, 3)
    t.time_out(0, 2)
    changes = changes_flying(t)
    far = forge.view_change(t.key(1), t.genesis.chain, 99, 1)
    t.lie(1, far, 0, 2)
    t.lie(1, NewView(changes=(*changes, far.change)), 0, 2)
    t.lie(1, forge.proposal(t.key(1), first_block(t, "rival", view=1, proposer=1), 1), 0, 2)
    t.expect_stage(Stage.CHANGING, 0, 2)
    t.expect_heights(0, 0, 2)
    t.deliver("view_change", to=(0, 2))
    t.time_out(0, 2)
    t.lie(1, forge.view_change(t.key(1), t.genesis.chain, 1, 2), 0, 2)
    t.deliver("view_change", to=(0, 2))
    t.deliver("new_view", to=0)
    t.expect(t.replica(0).accepted_hash == t.nodes[3].disk.blocks[0].block.hash, "the prepared block is proposed again")


def forged_prepared() -> None:
    """A prepared block that q members' PREPAREs do not prove is not one."""
    t = Table(4, liars={3})
    block = first_block(t, "forged", view=0, proposer=3)
    hash_ = block_hash(block.header)
    for at in (0, 1, 2):
        t.submit(at, f"honest{at}")
    t.drop()
    t.time_out(1, 2)
    proof = forge.certificate([t.key(3), t.key(7), t.key(8)], "prepare", t.genesis.chain, 1, 0, hash_)
    t.lie(3, forge.view_change(t.key(3), t.genesis.chain, 1, 1, (0, hash_), proof, block), 0, 1, 2)
    t.deliver("view_change")
    t.expect("forged_proof" in t.offences, "the forger is charged")
    own = forge.view_change(t.key(3), t.genesis.chain, 1, 3, (0, hash_), proof, block).change
    others = [forge.view_change(t.key(at), t.genesis.chain, 1, 3).change for at in (0, 1)]  # as if they had asked
    vote = forge.vote(t.key(3), "prepare", t.genesis.chain, 1, 3, hash_)
    t.lie(3, NewView(changes=(own, *others), prepared=proof, block=block, vote=vote), 0, 1, 2)
    t.settle(among=(0, 1, 2))
    t.expect(all(t.height(at) >= 1 for at in (0, 1, 2)), "the others go on without it")

    t = Table(4, liars={1})
    t.submit(0, "first")
    t.settle(among=(0, 2, 3))
    t.lie(1, old_proof(t), 0, 2, 3)
    t.expect_stage(Stage.IDLE, 0, 2, 3)


def forged_block_sync() -> None:
    """Blocks sent to one who is behind count only with q members' COMMITs; after true ones it takes part again."""
    t = Table(4, liars={3})
    block = first_block(t, "forged", view=0, proposer=0)
    few = forge.committed([t.key(3)], block, 0)
    strangers = forge.committed([t.key(at) for at in (3, 7, 8)], block, 0)
    prepares = forge.certificate([t.key(3)], "prepare", t.genesis.chain, 1, 0, block_hash(block.header))
    for wrong in (few, strangers, type(few)(block=block, certificate=prepares)):
        t.lie(3, Blocks(first_height=1, head_height=1, blocks=(wrong,)), 0, 1, 2)
        t.expect_heights(0, 0, 1, 2)
    t.expect(len(t.offences) == 9, "the sender is charged every time")
    t.lie(3, Blocks(first_height=1, head_height=99, blocks=()), 0, 1, 2)
    t.submit(0, "honest")
    t.settle(among=(0, 1, 2))
    t.expect_heights(1, 0, 1, 2)

    t = Table(4)
    for at in (0, 1, 2, 3):
        t.submit(at, f"tx{at}")
    t.drop()
    t.time_out(0, 1, 2, 3)
    t.settle(among=(0, 1, 2))
    t.expect_stage(Stage.CHANGING, 3)
    t.lie(1, t.nodes[1].disk.page(1), 3)
    t.expect_heights(t.height(1), 3)
    t.submit(1, "next")
    t.deliver("proposal", to=3)
    t.expect(t.replica(3).view == 1, "the view of the certificates is taken over")
    t.expect_stage(Stage.PREPARING, 3)


def votes_counted_by_sender() -> None:
    """One member's vote counts once, however often it is sent."""
    t = Table(4, liars={3})
    t.submit(0, "first")
    t.deliver("proposal", to=1)
    proposal = t.replica(1).accepted
    assert proposal is not None
    for _ in range(3):
        t.lie(0, proposal.vote, 1)
    t.expect_stage(Stage.PREPARING, 1)
    hash_ = block_hash(proposal.block.header)
    t.lie(3, forge.vote(t.key(3), "prepare", t.genesis.chain, 1, 0, hash_), 1)
    t.expect_stage(Stage.COMMITTING, 1)
    for _ in range(3):
        t.lie(3, forge.vote(t.key(3), "commit", t.genesis.chain, 1, 0, hash_), 1)
    t.lie(3, forge.vote(t.key(7), "commit", t.genesis.chain, 1, 0, hash_), 1)
    t.expect_heights(0, 1)


def timer_counts_views_beyond() -> None:
    """With q members at its view or beyond it a replica gives the new primary a time, then moves on itself."""
    t = Table(4, liars={3})
    for at in (0, 1, 2):
        t.submit(at, f"tx{at}")
    t.drop()
    t.time_out(0, 1, 2)
    t.deliver("view_change", to=(0, 1), frm=(0, 1))
    t.deliver("view_change", to=2, frm=(0, 1))
    t.drop()
    t.expect(t.replica(0).timer_s is None, "two members of four are not enough to wait for")
    t.time_out(2)
    t.deliver("view_change", to=(0, 1), frm=2)
    old = forge.view_change(t.key(0), t.genesis.chain, 1, 1)
    t.time_out(0, 1)
    t.deliver("view_change", to=2, frm=0)
    t.lie(3, old, 2)  # one of 0's that is overtaken, repeated by a liar
    t.settle(among=(0, 1, 2))
    t.expect(t.height(0) >= 1, "view 2 begins and goes on")
