"""The owner's view of the markets that this node buys in."""

from node.daemon import Parts
from node.market.overview import Overview
from node.outsource.client.marketwatch import MarketWatch, flag_view
from node.skills.labels import check_label
from node.views import MarketRow, MarketView, ShareRow

PPM = 1_000_000


class MarketDesk:
    """What was seen of each skill's market, and what the screens say about it."""

    def __init__(self, parts: Parts) -> None:
        self._watch = MarketWatch(parts.env, parts.store.quote_rounds, parts.store.outcomes)

    async def market(self, skill: str | None) -> MarketView:
        """The market of one skill, or of each that sellers were asked about; UsageError for a malformed label."""
        skills = await self._watch.skills() if skill is None else [check_label(skill)]
        return MarketView(markets=tuple([_row(await self._watch.overview(one)) for one in skills]))


def _row(seen: Overview) -> MarketRow:
    return MarketRow(
        skill=seen.skill,
        rounds=seen.rounds,
        sellers=seen.sellers,
        quotes=seen.quotes,
        variation_ppm=_ppm(seen.variation),
        spread_ppm=_ppm(seen.spread),
        lowest_micro=seen.lowest_micro,
        highest_micro=seen.highest_micro,
        awards=seen.awards,
        hhi=None if seen.hhi is None else round(seen.hhi),
        shares=tuple(
            ShareRow(peer=one.seller, awards=one.awards, share_ppm=round(one.share * PPM)) for one in seen.shares
        ),
        flags=tuple(map(flag_view, seen.flags)),
    )


def _ppm(value: float | None) -> int | None:
    return None if value is None else round(value * PPM)
