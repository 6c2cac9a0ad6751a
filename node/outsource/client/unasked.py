"""Sellers that are not asked for a quote, since their own adverts say why it would be in vain. Pure."""

from collections.abc import Iterable
from typing import Final

from node.decision.screening import outside
from node.market.hours import is_open_for, shown_hours
from node.outsource.client.offers import NoOffer
from node.outsource.client.seller import Listing

CLOSED: Final = "closed"
"""The codes that their own declines would have."""
REGION: Final = "region"


def unasked(
    listings: Iterable[Listing], regions: tuple[str, ...], now_unix_s: float, seconds: float
) -> tuple[list[Listing], list[NoOffer]]:
    """Those to ask; and why the others are not, who say that they are elsewhere, or not open for that long."""
    asked: list[Listing] = []
    left: list[NoOffer] = []
    for one in listings:
        advert = one.advert
        if advert.regions and (elsewhere := outside(regions, advert.regions)):
            left.append(NoOffer(one.seller, f"not asked: its advert says that it {elsewhere}", REGION))
        elif advert.hours is not None and not is_open_for(advert.hours, now_unix_s, seconds):
            hours = shown_hours(advert.hours, now_unix_s)
            left.append(NoOffer(one.seller, f"not asked: its advert says that it is {hours}", CLOSED))
        else:
            asked.append(one)
    return asked, left
