"""Draws a peer's standing."""

from collections.abc import Mapping
from typing import Any, TextIO, cast

from coalesced.cli import units
from coalesced.cli.tables import Column, draw_facts, draw_table
from coalesced.control import shapes

SAID = (
    Column("client", "client"),
    Column("good", "good"),
    Column("bad", "bad"),
    Column("ratings", "ratings", "count"),
    Column("explored", "explored", "count", optional=True),
    Column("disputed", "disputed", "count", optional=True),
    Column("unrated", "unrated", "count", optional=True),
    Column("believed", "belief_ppm", "ratio"),
)


def draw_trust(trust: shapes.Trust, out: TextIO) -> None:
    """Facts first, then a line for each client that has rated the peer."""
    counted = f"{trust['successes']:.2f} good, {trust['failures']:.2f} bad today"
    left = f"{units.share(trust['kept_ppm'])} of what it was after the last rating"
    others = f"{trust['explored']} explored, {trust['disputed']} disputed, {trust['unrated']} never rated"
    level_1 = f"{units.share(trust['level_1_ppm'])}, at least {units.share(trust['level_1_low_ppm'])} (5 % bound)"
    facts = [
        ("peer", f"{trust['peer']}  {trust['did']}" + ("" if trust["is_active"] else ", its account has ended")),
        ("evidence", f"{units.counted(trust['ratings'], 'rating')} ({others}); {counted}, {left}"),
        ("level 1", level_1),
        ("level 2", _level_2(trust)),
        ("eq. (14)", f"{units.share(trust['as_printed_ppm'])} as the paper prints it"),
        ("own jobs", f"{trust['own_successes']} good of {trust['own_jobs']}"),
    ]
    draw_facts(facts, out)
    rows = [{**row, "good": f"{row['successes']:.2f}", "bad": f"{row['failures']:.2f}"} for row in trust["said"]]
    draw_table(SAID, [cast("Mapping[str, Any]", row) for row in rows], out, empty="nobody has rated it")


def _level_2(trust: shapes.Trust) -> str:
    if trust["level_2_ppm"] is None:
        return "none: it joined a moment ago"
    by = ", ".join(f"{row['anchor']} {units.share(row['rate_ppm'])}" for row in trust["anchors"])
    basis = "level 1 stands in: the anchors are too far apart or know too little" if trust["fell_back"] else by
    return f"{units.share(trust['level_2_ppm'])} ({basis})"
