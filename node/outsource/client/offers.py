"""Asking many sellers for a quote at once, and keeping the offers that bind."""

import asyncio
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from node.market.quotes import HeldQuote, QuoteAsked, check_quote, hold_received
from node.net.errors import DialError, NetError
from node.net.peers import Peers
from node.outsource.client.rollcall import Absences, answers_in_time
from node.outsource.client.seller import Seller
from node.wording import duration
from protocol.errors import RemoteProtocolError
from protocol.messages import Decline, Quote, QuoteRequest
from protocol.signed import QuoteTerms, open_signed
from protocol.specification import Specification

SHOWN_REFUSALS: Final = 3
"""Of a round's, in one sentence."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A quote that was checked and binds its signer. `rtt_s` is the round trip that the request took.

    `subnet` is where it really came from, whatever its seller's advert says; empty where no cap by subnet holds.
    """

    seller: Seller
    quote: Quote
    held: HeldQuote
    rtt_s: float
    subnet: str = ""
    asked_s: float = 0.0
    """When the quote was asked for, by the event loop's clock; 0: it says nothing of what waits at the seller."""

    @property
    def terms(self) -> QuoteTerms:
        """What the seller signed."""
        return self.held.terms


@dataclass(frozen=True, slots=True)
class NoOffer:
    """Why a seller is not among the candidates; `code` is its own word where it declined."""

    seller: Seller
    reason: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tender:
    """One task put to the market: what every seller is asked, and until when an answer counts."""

    task_id: bytes
    id_key: bytes
    specification: Specification
    specification_sha256: bytes
    network: str
    client: bytes
    timeout_s: float

    def asked(self, seller: Seller) -> QuoteAsked:
        """What a quote of `seller` must be about."""
        return QuoteAsked(
            task_id=order_id(self.id_key, self.task_id, seller.key),
            specification_sha256=self.specification_sha256,
            network=self.network,
            client=self.client,
            contractor=seller.key,
            skill=self.specification.skill,
            effort=self.specification.effort,
        )


def order_id(id_key: bytes, task_id: bytes, seller: bytes) -> bytes:
    """What this task is called towards this seller: 16 bytes, another for each, the same whenever it is asked again.

    Only who has the key, the client alone, can link them. Under one name for all, whoever is asked for a quote could
    award the task elsewhere first, in its own name, and the rival would be blamed for refusing it as a duplicate.
    """
    return hmac.digest(id_key, task_id + seller, "sha256")[:16]


class Market:
    """Quote rounds over the node's own sessions."""

    def __init__(self, peers: Peers, absences: Absences, unix_ms: Callable[[], int]) -> None:
        self._peers = peers
        self._absences = absences
        self._unix_ms = unix_ms

    async def quotes(self, tender: Tender, sellers: Sequence[Seller]) -> tuple[list[Offer], list[NoOffer]]:
        """Ask all `sellers` at once; who has not answered by the deadline has made no offer.

        Who could not be reached lately, and has not published since, is not asked.
        """
        loop = asyncio.get_running_loop()
        began, now = loop.time(), self._unix_ms()
        asked = self._absences.worth_asking(sellers, now)
        answers = await answers_in_time({seller: self._ask(tender, seller) for seller in asked}, tender.timeout_s)
        for seller in sellers:
            if seller not in asked:
                met = self._absences.met_unix_ms(seller.key)
                last = "" if met is None else f", last met {duration((now - met) / 1000)} ago"
                answers[seller] = NoOffer(seller, f"not asked: it could not be reached lately{last}")
            elif seller not in answers:
                answers[seller] = NoOffer(seller, f"no answer within {loop.time() - began:.2g} s")
                if self._peers.open_session(seller.key) is None:
                    self._absences.missed(seller, self._unix_ms())
        inorder = [answers[seller] for seller in sellers]
        return (
            [answer for answer in inorder if isinstance(answer, Offer)],
            [answer for answer in inorder if isinstance(answer, NoOffer)],
        )

    async def _ask(self, tender: Tender, seller: Seller) -> Offer | NoOffer:
        loop = asyncio.get_running_loop()
        asked = tender.asked(seller)
        request = QuoteRequest(task_id=asked.task_id, specification=tender.specification)
        try:
            async with asyncio.timeout(tender.timeout_s):
                session = await self._peers.session(seller.key, seller.endpoint)
                asked_at = loop.time()
                answer = await session.request(request, timeout_s=tender.timeout_s)
                rtt_s = loop.time() - asked_at
            self._absences.met(seller.key, self._unix_ms())
            match answer:
                case Quote():
                    terms = open_signed(QuoteTerms, answer.terms, answer.signature, seller.key)
                case Decline():
                    return NoOffer(seller, f"declined: {answer.code}: {answer.text}", answer.code)
                case other:
                    return NoOffer(seller, f"answered with a {type(other).__name__} instead of a quote")
        except TimeoutError:
            return NoOffer(seller, f"no answer within {tender.timeout_s:g} s")
        except NetError as error:
            if isinstance(error, DialError):
                self._absences.missed(seller, self._unix_ms())
            return NoOffer(seller, str(error))
        except RemoteProtocolError as error:
            return NoOffer(seller, error.text)
        if fault := check_quote(terms, asked):
            return NoOffer(seller, f"its quote cannot be used: {fault}")
        return Offer(seller, answer, hold_received(terms, self._unix_ms()), rtt_s, session.remote.subnet, asked_at)
