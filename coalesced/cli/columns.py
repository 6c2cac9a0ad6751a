"""The columns of every table the views are drawn as."""

from coalesced.cli.tables import Column

PEERS = (
    Column("peer", "peer"),
    Column("endpoint", "endpoint"),
    Column("open", "connected", "flag"),
    Column("rtt", "rtt_s", "seconds"),
    Column("seen", "last_seen_unix_ms", "moment"),
    Column("tasks", "tasks", "count"),
    Column("good", "accepted", "count"),
    Column("spent", "spent_micro", "money"),
    Column("exposed", "exposure_micro", "money", optional=True),
    Column("offences", "offences", "count", optional=True),
    Column("blocked", "blocked", "flag", optional=True),
)
SKILLS = (
    Column("skill", "label"),
    Column("caption", "caption"),
    Column("sold", "sold", "flag"),
    Column("example costs", "example_price_micro", "money"),
    Column("and takes", "example_s", "seconds"),
    Column("source", "source"),
)
SELLERS = (
    Column("seller", "peer"),
    Column("endpoint", "endpoint"),
    Column("a unit from", "price_hint_micro", "money"),
    Column("load", "load_ppm", "ratio"),
    Column("p(good)", "success_ppm", "ratio"),
    Column("tasks", "tasks", "count"),
    Column("blocked", "blocked", "flag", optional=True),
    Column("hours", "hours", optional=True),
    Column("shown by", "source", optional=True),
    Column("caption", "caption", optional=True),
    Column("reached", "reached_unix_ms", "moment", optional=True),
)
ABSENT = (
    Column("not reached", "peer"),
    Column("last seen", "last_seen_unix_ms", "moment"),
    Column("advert stands until", "expires_unix_ms", "moment"),
    Column("shown by", "source", optional=True),
)
MATCHES = (
    Column("skill", "skill"),
    Column("seller", "peer"),
    Column("fit", "score_ppm", "ratio"),
    Column("a unit from", "price_hint_micro", "money"),
    Column("p(good)", "success_ppm", "ratio"),
    Column("has", "terms", "words", optional=True),
    Column("shown by", "source", optional=True),
    Column("caption", "caption", optional=True),
)
PARTS = (
    Column("skill", "skill"),
    Column("seller", "peer"),
    Column("fit", "score_ppm", "ratio"),
    Column(".3 terms", "ontological_ppm", "ratio"),
    Column(".5 text", "embedding_ppm", "ratio"),
    Column(".2 record", "performance_ppm", "ratio"),
)
OFFERS = (
    Column("skill", "label"),
    Column("price", "price_micro", "money", optional=True),
    Column("a unit from", "price_hint_micro", "money"),
    Column("known to", "published_to", "count"),
    Column("sold", "sold", "count"),
    Column("earned", "earned_micro", "money"),
    Column("source", "source"),
    Column("problem", "problem", optional=True),
)
TASKS = (
    Column("task", "id"),
    Column("state", "state"),
    Column("skill", "skill"),
    Column("side", "side"),
    Column("choice", "choice"),
    Column("peer", "peer"),
    Column("cost", "cost_micro"),
    Column("saved", "saving_micro"),
    Column("created", "created_unix_ms"),
)
"""In a pipe, all of it; on a terminal what fits."""
TASKS_SHOWN = (
    Column("task", "id", "id"),
    Column("state", "state"),
    Column("skill", "skill"),
    Column("where", "where"),
    Column("cost", "cost_micro", "money"),
    Column("saved", "saving_micro", "money"),
    Column("created", "created_unix_ms", "moment"),
)
JOURNAL = (
    Column("height", "height", "count"),
    Column("when", "at_unix_ms", "moment"),
    Column("kind", "kind"),
    Column("task", "task_id", "id"),
    Column("what", "text"),
    Column("digest", "digest", "id"),
)
MARKET = (
    Column("skill", "skill"),
    Column("asked", "rounds", "count"),
    Column("sellers", "sellers", "count"),
    Column("quotes", "quotes", "count"),
    Column("varies", "variation_ppm", "ratio"),
    Column("spread", "spread_ppm", "ratio"),
    Column("lowest", "lowest_micro", "money"),
    Column("highest", "highest_micro", "money"),
    Column("hired", "awards", "count"),
    Column("HHI", "hhi", "count"),
    Column("largest", "largest"),
    Column("signs", "signs", "words"),
)
"""In a pipe, all of it; on a terminal what fits."""
MARKET_SHOWN = tuple(
    column for column in MARKET if column.key not in ("quotes", "spread_ppm", "lowest_micro", "highest_micro")
)
CHECKS = (
    Column("", "status"),
    Column("check", "name"),
    Column("finding", "text"),
    Column("fix", "fix", optional=True),
)
OPTIONS = (
    Column("option", "name"),
    Column("level", "level"),
    Column("price", "price_micro", "money"),
    Column("time", "time_micro", "money"),
    Column("risk", "risk_micro", "money"),
    Column("verify", "verify_micro", "money"),
    Column("total", "total_micro", "money"),
    Column("p(good)", "success_ppm", "ratio"),
    Column("chosen", "chosen", "flag"),
    Column("feasible", "feasible", "flag"),
    Column("note", "note"),
)
