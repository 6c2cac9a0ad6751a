"""Schedules by hand: seventeen for ways in which implementations are known to fail, four for losses. Each is a claim.

A script raises Broken (or an assertion of the core's) when the claim does not hold. Where a wrong replica would have
to decide something else, a competing transaction waits at the next primary, so that it really does.
"""

from collections.abc import Callable
from typing import Final

from coalesced.sim.ledger import lies, losses, schedules

Script = Callable[[], None]

SCRIPTS: Final[dict[str, Script]] = {
    script.__name__: script
    for script in (
        schedules.committed_at_one,
        schedules.two_prepared_highest_view_wins,
        schedules.prepared_survives_an_empty_view,
        schedules.prepared_survives_crash,
        lies.votes_survive_crash,
        lies.equivocating_primary,
        lies.primary_must_obey_new_view,
        lies.short_new_view,
        lies.forged_height,
        lies.forged_prepared,
        lies.forged_block_sync,
        lies.votes_counted_by_sender,
        schedules.old_view_votes_stop,
        lies.timer_counts_views_beyond,
        schedules.commit_votes_of_different_views_do_not_add_up,
        schedules.f_plus_1_pull_the_rest_along,
        schedules.five_members_need_four,
        losses.power_fails_after_one_has_announced,
        losses.who_leaves_is_not_needed_again,
        losses.lost_votes_are_not_cast_again,
        losses.pruned_blocks_give_way_to_a_state,
    )
}
