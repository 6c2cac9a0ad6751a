"""Scripts in which everybody is honest and the network, the clock or the power is not."""

from coalesced.sim.ledger.moves import decide_at_one
from coalesced.sim.ledger.table import Table
from node.ledger.pbft.state import Stage


def committed_at_one() -> None:
    """What one replica committed is what the others commit, though it is cut off at once."""
    t = Table(4)
    t.submit(0, "first")
    t.submit(1, "rival")
    decide_at_one(t, 3)
    t.time_out(0, 1, 2)
    t.settle(among=(0, 1, 2))
    t.expect(t.block(1, 1) == t.block(3, 1), "the others commit the same block at height 1")
    t.settle()


def two_prepared_highest_view_wins() -> None:
    """Of two blocks prepared in different views, that of the higher view may be committed somewhere: it is taken."""
    t = Table(4)
    t.submit(0, "low")
    t.submit(1, "high")
    t.deliver("proposal")
    t.deliver("prepare", to=0)
    t.expect_stage(Stage.COMMITTING, 0)
    t.drop()
    t.time_out(1, 2, 3)
    t.deliver("view_change", to=(1, 2, 3))
    t.deliver("new_view", to=(2, 3))
    t.tick(1)
    t.deliver("proposal", to=(2, 3))
    t.deliver("prepare", to=(1, 2, 3))
    t.deliver("commit", to=3)
    t.expect_heights(1, 3)
    t.drop()
    t.time_out(1, 2)
    t.deliver("view_change", to=0)
    t.settle(among=(0, 1, 2))
    t.expect(t.replica(2).view == 2, "view 2 is reached")
    t.expect(t.block(0, 1) == t.block(3, 1), "the block of the higher view is taken")


def prepared_survives_an_empty_view() -> None:
    """A prepared block is named in every later view change, though views pass in which nothing is prepared."""
    t = Table(4)
    t.submit(0, "first")
    t.submit(1, "rival")
    t.submit(2, "other")
    decide_at_one(t, 3)
    t.time_out(0, 1, 2)
    t.deliver("view_change", to=(0, 1, 2))
    t.drop()  # view 1: the NEW-VIEW gets lost
    t.time_out(0, 2)
    t.deliver("view_change", to=(0, 1, 2))
    t.deliver("view_change", to=(0, 1, 2))
    t.deliver("new_view", to=(0, 1))
    t.drop()  # view 2: begun and bound, but no PREPARE arrives
    t.expect_stage(Stage.PREPARING, 0, 1, 2)
    t.time_out(0, 1, 2)
    t.deliver("view_change", to=(0, 1, 2))
    t.drop()  # view 3: its primary is the one that is cut off
    t.time_out(0, 1, 2)
    t.settle(among=(0, 1, 2))
    t.expect(t.replica(0).view == 4, "view 4 is reached")
    t.expect(t.block(0, 1) == t.block(3, 1), "what was prepared in view 0 is still taken")


def prepared_survives_crash() -> None:
    """What a replica prepared it still knows after a crash."""
    t = Table(4)
    t.submit(0, "first")
    decide_at_one(t, 3)
    for at in (0, 1, 2):
        t.crash(at)
        t.start(at)
    for at in (0, 1, 2):
        t.submit(at, f"rival{at}")
    t.drop()
    t.time_out(0, 1, 2)
    t.settle(among=(0, 1, 2))
    t.expect(t.block(1, 1) == t.block(3, 1), "the others commit the same block at height 1")


def old_view_votes_stop() -> None:
    """Who has asked for a view votes in none below it."""
    t = Table(4)
    t.submit(0, "first")
    t.submit(2, "second")
    t.deliver("proposal", to=1)
    t.time_out(1, 2)
    t.deliver("proposal", to=2)
    t.deliver("proposal", to=3)
    t.deliver("prepare")
    t.expect_stage(Stage.CHANGING, 1, 2)
    t.expect(not t.replica(1).voted.get(("commit", 0)), "no COMMIT in the view that was left")
    t.expect(not t.replica(2).voted, "no PREPARE in the view that was left")


def commit_votes_of_different_views_do_not_add_up() -> None:
    """q COMMITs are q of one view."""
    t = Table(4)
    t.submit(0, "first")
    t.deliver("proposal")
    t.deliver("prepare", to=0)
    t.deliver("commit", to=3, frm=0)
    t.deliver("prepare", to=1)
    t.drop()
    t.time_out(1, 2, 3)
    t.deliver("view_change", to=(1, 2, 3))
    t.deliver("new_view", to=(2, 3))
    t.deliver("prepare", to=(1, 3))
    t.expect_stage(Stage.COMMITTING, 1, 3)
    t.deliver("commit", to=3, frm=1)
    t.expect_heights(0, 3)
    t.deliver("prepare", to=2)
    t.deliver("commit", to=3, frm=2)
    t.expect_heights(1, 3)


def f_plus_1_pull_the_rest_along() -> None:
    """f + 1 members who ask for a view take along those who noticed nothing; f do not."""
    t = Table(4)
    t.submit(0, "first")
    t.drop()
    for at in (1, 2):
        t.submit(at, f"tx{at}")
    t.drop("tx")
    t.time_out(1, 2)
    t.deliver("view_change", to=(0, 3), frm=1)
    t.expect(t.replica(3).view == 0 and t.replica(0).view == 0, "one member alone moves nobody")
    t.deliver("view_change", to=(0, 3), frm=2)
    t.expect(t.replica(3).view == 1 and t.replica(0).view == 1, "two members do")
    t.settle()
    t.expect(t.height(3) >= 1, "view 1 goes on")


def five_members_need_four() -> None:
    """Of five members four decide: two sets of three may have only a liar in common."""
    t = Table(5)
    t.submit(0, "first")
    t.deliver("proposal")
    t.deliver("prepare", to=(0, 1, 2), frm=(0, 1, 2))
    t.expect_stage(Stage.PREPARING, 0, 1, 2)
    t.deliver("prepare", to=(0, 1, 2, 3), frm=3)
    t.deliver("prepare", to=3)
    t.expect_stage(Stage.COMMITTING, 0, 1, 2, 3)
    t.deliver("commit", to=0, frm=(1, 2))
    t.expect_heights(0, 0)
    t.deliver("commit", to=0, frm=3)
    t.expect_heights(1, 0)
