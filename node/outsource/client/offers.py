"""Asking many sellers for a quote at once, and keeping the offers that bind."""

import asyncio
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from crypto.identity import short_id
from node.market.quotes import HeldQuote, QuoteAsked, check_quote, hold_received
from node.net.endpoint import Endpoint
from node.net.errors import NetError
from node.net.peers import Peers
from protocol.errors import RemoteProtocolError
from protocol.messages import Decline, Quote, QuoteRequest
from protocol.signed import QuoteTerms, open_signed
from protocol.specification import Specification

LEAST_GRACE_S: Final = 0.5
"""What the slower half of the sellers gets at least: a round trip across the world and a handshake."""


@dataclass(frozen=True, slots=True)
class Seller:
    """Someone who advertises the skill: whom to ask, and where."""

    key: bytes
    endpoint: Endpoint

    @property
    def name(self) -> str:
        """How a person names it."""
        return short_id(self.key)


@dataclass(frozen=True, slots=True)
class Offer:
    """A quote that was checked and binds its signer. `rtt_s` is the round trip that the request took."""

    seller: Seller
    quote: Quote
    held: HeldQuote
    rtt_s: float

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

    def __init__(self, peers: Peers, unix_ms: Callable[[], int]) -> None:
        self._peers = peers
        self._unix_ms = unix_ms

    async def quotes(self, tender: Tender, sellers: Sequence[Seller]) -> tuple[list[Offer], list[NoOffer]]:
        """Ask all `sellers` at once; who has not answered by the deadline has made no offer.

        Once half of them have answered, the others get as long again: a few silent ones do not delay every task.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        ends = began + tender.timeout_s
        answers: dict[Seller, Offer | NoOffer] = {}
        async with asyncio.TaskGroup() as group:
            asking = {group.create_task(self._ask(tender, seller)): seller for seller in sellers}
            waiting = set(asking)
            while waiting and (left_s := ends - loop.time()) > 0:
                done, waiting = await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                answers |= {asking[task]: task.result() for task in done}
                if 2 * len(answers) >= len(sellers):
                    took_s = loop.time() - began
                    ends = min(ends, began + max(2 * took_s, took_s + LEAST_GRACE_S))
            for task in waiting:
                task.cancel()
        for seller in sellers:
            silent = NoOffer(seller, f"no answer within {loop.time() - began:.2g} s")
            answers.setdefault(seller, silent)
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
            return NoOffer(seller, str(error))
        except RemoteProtocolError as error:
            return NoOffer(seller, error.text)
        if fault := check_quote(terms, asked):
            return NoOffer(seller, f"its quote cannot be used: {fault}")
        return Offer(seller, answer, hold_received(terms, self._unix_ms()), rtt_s)
