"""Agent cards of sellers, fetched from the sellers themselves, and shown only where their key signed them."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec

from crypto.jcs import JcsError, canonical
from crypto.jws import JwsError, verify_parts
from node.net.endpoint import Endpoint

CARD_PATH: Final = "/.well-known/agent-card.json"
MAX_CARD_BYTES: Final = 2**16
MAX_SIGNATURES: Final = 4
MAX_CARDS: Final = 256
"""Kept: 16 MiB at most."""
KEPT_MS: Final = 60_000
"""As long as a card may be kept by whoever fetched it."""
FETCH_TIMEOUT_S: Final = 3.0
MAX_FETCHES: Final = 4
"""At once: others are refused, and may come again."""


class CardError(Exception):
    """There is no card to show; the text says why."""


@dataclass(frozen=True, slots=True)
class _Kept:
    at_unix_ms: int
    body: bytes


class SellerCards:
    """Fetches, checks, and keeps for a minute. `close` it."""

    def __init__(self, unix_ms: Callable[[], int]) -> None:
        self._unix_ms = unix_ms
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._http: aiohttp.ClientSession | None = None
        self._fetches = asyncio.Semaphore(MAX_FETCHES)

    async def of(self, public_key: bytes, where: Endpoint) -> bytes:
        """The card that this node signed, as it serves it at the address of its advert; CardError otherwise."""
        kept = self._kept.get(public_key)
        if kept is not None and self._unix_ms() - kept.at_unix_ms < KEPT_MS:
            return kept.body
        if self._fetches.locked():
            raise CardError("too many cards are being fetched: ask again")
        async with self._fetches:
            body = await self._fetched(where)
        check_card(body, public_key)
        self._kept[public_key] = _Kept(self._unix_ms(), body)
        self._kept.move_to_end(public_key)
        if len(self._kept) > MAX_CARDS:
            self._kept.popitem(last=False)
        return body

    async def close(self) -> None:
        """Close its connections."""
        if self._http is not None:
            await self._http.close()

    async def _fetched(self, where: Endpoint) -> bytes:
        if self._http is None:
            self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
        try:
            async with (
                asyncio.timeout(FETCH_TIMEOUT_S),
                self._http.get(f"http://{where}{CARD_PATH}", allow_redirects=False) as answer,
            ):
                body = bytearray()
                async for chunk in answer.content.iter_chunked(2**14):
                    body += chunk
                    if len(body) > MAX_CARD_BYTES:
                        raise CardError(f"its card is over {MAX_CARD_BYTES} bytes")
        except TimeoutError as error:
            raise CardError(f"it did not answer within {FETCH_TIMEOUT_S:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CardError(f"it cannot be reached: {str(error) or type(error).__name__}") from error
        if answer.status != 200:
            raise CardError(f"it serves no card ({answer.status})")
        return bytes(body)


def check_card(body: bytes, public_key: bytes) -> None:
    """CardError unless one of the card's signatures (A2A 1.0, 8.4) is by this key."""
    try:
        card: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise CardError("its card is not JSON") from error
    if not isinstance(card, dict) or not isinstance(card.get("signatures"), list):
        raise CardError("its card is not signed")
    try:
        payload = canonical({name: value for name, value in card.items() if name != "signatures"})
    except (JcsError, RecursionError) as error:
        raise CardError(f"its card has no canonical form: {error}") from error
    for one in card["signatures"][:MAX_SIGNATURES]:
        if isinstance(one, dict) and all(isinstance(one.get(part), str) for part in ("protected", "signature")):
            try:
                verify_parts(one["protected"], payload, one["signature"], typ=None, signer=public_key)
            except JwsError:
                continue
            return
    raise CardError("its card is not signed by its key")
