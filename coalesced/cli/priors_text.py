"""Draws what market makers found out."""

from typing import TextIO

from coalesced.cli import units
from coalesced.cli.escape import escaped
from coalesced.cli.tables import Column, draw_table
from coalesced.control import shapes

SELLERS = (
    Column("skill", "skill"),
    Column("seller", "peer"),
    Column("says", "says"),
    Column("probes", "probes", "count"),
    Column("good", "good"),
    Column("bad", "bad"),
    Column("unproved", "faults", "count", optional=True),
    Column("billed", "billed_ppm", "ratio"),
    Column("time", "latency_ppm", "ratio"),
    Column("last", "last_unix_ms", "moment"),
)


def draw_priors(view: shapes.Priors, out: TextIO) -> None:
    """A line a seller; on a terminal, the market makers stand below, and what this node probes."""
    rows = [
        {
            **row,
            "says": row["maker"] or "this node",
            "good": f"{row['good_milli'] / 1000:.1f}",
            "bad": f"{row['bad_milli'] / 1000:.1f}",
        }
        for row in view["sellers"]
    ]
    draw_table(SELLERS, rows, out, empty="nothing is known yet; see: coalesced priors buy --help")
    if out.isatty():
        lines = [maker_line(maker) for maker in view["makers"]]
        lines += [probing_line(view["probing"])] if view["probing"] is not None else []
        for line in lines:
            print(escaped(line), file=out)


def maker_line(maker: shapes.MakerRow) -> str:
    """One market maker in a sentence."""
    named = "named by the owner" if maker["named"] else "found"
    said = (
        f"market maker {maker['peer']} ({named}): believed by {units.share(maker['believed_ppm'])}, after "
        f"{units.counted(maker['compared'], 'job')} of which {maker['surprises']} surprised; "
        f"{units.counted(maker['bought'], 'document')} bought"
    )
    return f"{said}; the last: {maker['problem']}" if maker["problem"] else said


def probing_line(probing: shapes.ProbingRow) -> str:
    """What this market maker does, in a sentence."""
    spent, budget = units.money(probing["spent_micro"]), units.money(probing["budget_micro"])
    skills = ", ".join(probing["skills"]) or "nothing: there are no questions with known answers"
    return f"probing {skills}: {spent} of {budget} spent in 24 hours; {units.counted(probing['sold'], 'document')} sold"


DRAWERS = {"priors": draw_priors}
