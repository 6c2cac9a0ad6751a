"""Agent cards of sellers, fetched from the sellers themselves, and shown only where their key signed them."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import msgspec

from coalesced.gateway.registry.kept import FetchError, Kept
from crypto.jcs import JcsError, canonical
from crypto.jws import JwsError, verify_parts
from node.net.endpoint import Endpoint

CARD_PATH: Final = "/.well-known/agent-card.json"
MAX_CARD_BYTES: Final = 2**16
MAX_SIGNATURES: Final = 4
FETCH_TIMEOUT_S: Final = 3.0


class SellerCards:
    """Fetches, checks, and keeps for a minute. `close` it."""

    def __init__(self, unix_ms: Callable[[], int]) -> None:
        self._kept = Kept(unix_ms)
        self._http: aiohttp.ClientSession | None = None

    async def of(self, public_key: bytes, where: Endpoint) -> bytes:
        """The card that this node signed, as it serves it at the address of its advert; FetchError otherwise."""

        async def fetched() -> bytes:
            body = await self._fetched(where)
            check_card(body, public_key)
            return body

        return await self._kept.of(public_key, fetched)

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
                        raise FetchError(f"its card is over {MAX_CARD_BYTES} bytes")
        except TimeoutError as error:
            raise FetchError(f"it did not answer within {FETCH_TIMEOUT_S:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchError(f"it cannot be reached: {str(error) or type(error).__name__}") from error
        if answer.status != 200:
            raise FetchError(f"it serves no card ({answer.status})")
        return bytes(body)


def check_card(body: bytes, public_key: bytes) -> None:
    """FetchError unless one of the card's signatures (A2A 1.0, 8.4) is by this key."""
    try:
        card: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise FetchError("its card is not JSON") from error
    if not isinstance(card, dict) or not isinstance(card.get("signatures"), list):
        raise FetchError("its card is not signed")
    try:
        payload = canonical({name: value for name, value in card.items() if name != "signatures"})
    except (JcsError, RecursionError) as error:
        raise FetchError(f"its card has no canonical form: {error}") from error
    for one in card["signatures"][:MAX_SIGNATURES]:
        if isinstance(one, dict) and all(isinstance(one.get(part), str) for part in ("protected", "signature")):
            try:
                verify_parts(one["protected"], payload, one["signature"], typ=None, signer=public_key)
            except JwsError:
                continue
            return
    raise FetchError("its card is not signed by its key")
