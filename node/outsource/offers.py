"""Asking many sellers for a quote at once, and keeping the offers that bind."""

import asyncio
from dataclasses import dataclass

import structlog

from node.market.quotes import QuoteAsked, check_quote
from node.net.endpoint import Endpoint
from node.net.errors import NetError
from node.net.peers import Peers
from protocol.errors import RemoteProtocolError
from protocol.messages import Decline, Quote, QuoteRequest
from protocol.signed import QuoteTerms

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Seller:
    """Someone who advertises the skill: whom to ask, and where."""

    key: bytes
    name: str
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Offer:
    """A quote that was checked and binds its signer. `rtt_s` is the round trip that the request took."""

    seller: Seller
    quote: Quote
    terms: QuoteTerms
    rtt_s: float


@dataclass(frozen=True, slots=True)
class NoOffer:
    """Why a seller is not among the candidates."""

    seller: Seller
    reason: str


@dataclass(frozen=True, slots=True)
class QuoteRound:
    """What came back before the deadline."""

    offers: tuple[Offer, ...]
    refusals: tuple[NoOffer, ...]
