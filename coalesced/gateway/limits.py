"""How much and how often a caller of a public port may send; each server words the refusals in its own shape."""

import asyncio
from http import HTTPStatus
from typing import Final, Protocol

from aiohttp import web

from coalesced.gateway.quotas import RequestRates

CHUNK_BYTES: Final = 2**16


class Refusal(Protocol):
    """Makes the HTTP error of one server."""

    def __call__(
        self, status: HTTPStatus, text: str, headers: dict[str, str] | None = None, /
    ) -> web.HTTPException: ...


def pace(rates: RequestRates, who: str, *, setting: str, refuse: Refusal) -> None:
    """429 for a caller that asks too often.

    Args:
        rates: the tokens of all callers; this takes one.
        who: the caller, by whatever name it is counted.
        setting: which of the owner's settings is the limit.
        refuse: makes the error.
    """
    wait_s = rates.wait_s(who, asyncio.get_running_loop().time())
    if wait_s:
        text = f"too many requests: the next one is answered in {wait_s:.1f} s ({setting})"
        raise refuse(HTTPStatus.TOO_MANY_REQUESTS, text, {"Retry-After": str(int(wait_s) + 1)})


async def read_body(request: web.Request, *, max_bytes: int, timeout_s: float, limit: str, refuse: Refusal) -> bytes:
    """The body of a request: 413 over `max_bytes` bytes, 408 after `timeout_s` seconds.

    Args:
        request: the request, of which nothing was read.
        max_bytes: where reading ends.
        timeout_s: in which all of it must come.
        limit: what the limit is called in the refusal.
        refuse: makes the error.
    """
    read = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.content.iter_chunked(CHUNK_BYTES):
                read += chunk
                if len(read) > max_bytes:
                    text = f"the request is over the limit of {max_bytes} bytes ({limit})"
                    raise refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
    except TimeoutError as error:
        raise refuse(HTTPStatus.REQUEST_TIMEOUT, f"the body did not come within {timeout_s:.0f} s") from error
    return bytes(read)
