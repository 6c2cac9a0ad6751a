"""Scripts in which members lose their power or their disk, or find that nobody keeps the blocks that they lack."""

from msgspec.structs import replace

from coalesced.sim.ledger.disk import SERVED_EVERY
from coalesced.sim.ledger.machine import KeyValues
from coalesced.sim.ledger.table import Table
from coalesced.testnet.byzantine import forge
from node.ledger.pbft.state import Stage
from protocol.consensus import (
    Blocks,
    PieceRequest,
    Pieces,
    SnapshotRequest,
    Status,
    block_hash,
    decode_header,
)


def power_fails_after_one_has_announced() -> None:
    """What one replica committed and told a client is what the others commit, though no disk kept that block."""
    t = Table(4)
    t.submit(0, "told")
    for kind in ("proposal", "prepare"):
        t.deliver(kind)
    t.deliver("commit", to=0)
    t.expect_heights(1, 0)
    told = t.block(0, 1)
    for at in range(4):
        t.crash(at, power=True)
    t.drop()
    for at in (1, 2, 0):
        t.start(at)  # the fourth never comes back: as many as may fail
    t.expect_heights(0, 0, 1, 2)
    t.submit(1, "rival")
    t.settle(among=(0, 1, 2))
    if t.height(0) == 0:
        t.time_out(0, 1, 2)
        t.settle(among=(0, 1, 2))
    t.expect(t.block(0, 1) == t.block(1, 1) == t.block(2, 1) == told, "what was told is committed")


def who_leaves_is_not_needed_again() -> None:
    """A change of the committee is durable at once: who was let go may be gone for good, whatever happens then."""
    t = Table(2)
    t.leave(0, 1)
    t.settle()
    t.expect_heights(1, 0, 1)
    t.crash(0, power=True)
    t.crash(1)
    t.start(0)
    t.expect_heights(1, 0)
    t.submit(0, "alone")
    t.settle(among=(0,))
    t.expect_heights(2, 0)


def lost_votes_are_not_cast_again() -> None:
    """Who lost its votes votes only beyond a block that holds what it said after the loss."""
    t = Table(4)
    t.submit(0, "first")
    t.settle()
    t.submit(0, "lost")
    t.deliver("proposal", to=1)
    t.drop()
    t.forget(0)
    t.submit(0, "other")
    t.pass_s(6.0, 0, 1)
    t.settle(among=(0, 1))
    t.expect_heights(1, 0)
    t.expect_stage(Stage.FOLLOWING, 0)
    for at in (1, 2, 3):
        t.submit(at, f"tx{at}")
    for _ in range(4):
        t.settle(among=(1, 2, 3))
        t.pass_s(2.5, 1, 2, 3)
    t.expect(t.height(1) >= 2, "the others go on without it")
    t.pass_s(6.0, 0, 1, 2, 3)
    t.settle()
    t.expect_stage(Stage.FOLLOWING, 0)
    height = t.height(1)
    t.expect_heights(height, 0, 2, 3)
    t.prove(0)
    t.settle()
    t.pass_s(1.0, 0)
    t.settle()
    t.expect(t.height(0) > height, "what it said is committed")
    t.expect(not t.nodes[0].disk.forgot, "so the doubt is over")
    t.expect_stage(Stage.IDLE, 0)
    height = t.height(0)
    t.submit(1, "together")
    t.settle(among=(0, 1, 2))
    t.expect(t.height(1) > height, "its vote counts again")


def pruned_blocks_give_way_to_a_state() -> None:
    """Who lacks blocks that nobody keeps fetches a certified state; who lies about one is found out and passed over."""
    t = Table(4, liars={3}, prunes=True)
    for number in range(3 * SERVED_EVERY):
        t.submit(0, f"key{number}")
        t.settle(among=(0, 1, 2))
    height = t.height(0)
    t.expect(t.nodes[0].disk.page(1).blocks == (), "old blocks are gone")
    t.forget(2)
    t.lie(3, Status(height=99, view=0), 2)
    t.drop()
    t.lie(3, Blocks(first_height=90, head_height=99, blocks=()), 2)
    t.expect(isinstance(t.message("snapshot_request"), SnapshotRequest), "it asks for a state instead")
    true = t.nodes[0].disk.snapshot(0)
    assert true is not None
    header = decode_header(true.header)
    few = forge.certificate([t.key(3)], "commit", header.chain, header.height, 0, block_hash(true.header))
    t.lie(3, replace(true, certificate=few), 2)
    t.expect("forged_block" in t.offences, "a header that q members did not sign is none")
    _offer(t)
    t.lie(3, replace(true, outline=true.outline[32:]), 2)
    t.expect("bad_snapshot" in t.offences, "an outline of another state is none")
    _offer(t)
    t.lie(3, true, 2)
    t.expect(isinstance(t.message("piece_request"), PieceRequest), "a true one is taken, also from a liar")
    other = KeyValues().cut(t.genesis.state)
    t.lie(3, Pieces(pieces=tuple(other.by_name.values())), 2)
    t.expect(not t.nodes[2].disk.pieces, "a piece of another state is not kept")
    t.lie(3, Pieces(pieces=(b"nonsense",)), 2)
    t.expect("bad_message" in t.offences, "what is no piece at all is charged")
    _offer(t)
    t.drop()
    t.pass_s(3.0, 2)
    t.drop()
    t.expect(t.height(2) == 0, "nothing was installed")
    t.pass_s(6.0, 0, 1, 2)
    for _ in range(6):
        t.settle(among=(0, 1, 2))
        t.pass_s(1.0, 0, 1, 2)
    t.expect_heights(height, 2)
    t.expect_stage(Stage.FOLLOWING, 2)


def _offer(t: Table) -> None:
    """The liar says again that it keeps no old blocks."""
    t.pass_s(6.0, 2)
    t.lie(3, Status(height=99, view=0), 2)
    t.lie(3, Blocks(first_height=90, head_height=99, blocks=()), 2)
