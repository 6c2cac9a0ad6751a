"""Calls to an A2A agent over JSON-RPC or HTTP+JSON: bounded in time and size, signed or with a token."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec

from coalesced.gateway.a2a.buying.card import ReadCard
from coalesced.gateway.a2a.http_signatures import SignedRequest, sign_request
from coalesced.gateway.a2a.shared import ECONOMICS
from crypto.identity import Identity

MAX_CARD_BYTES: Final = 256 * 1024
MAX_QUOTED_CHARS: Final = 200
"""Of what an agent says of an error."""
REST: Final = {
    "SendMessage": ("POST", "/message:send"),
    "GetTask": ("GET", "/tasks/{id}"),
    "CancelTask": ("POST", "/tasks/{id}:cancel"),
}


class AgentError(Exception):
    """An agent cannot be reached, or answered with an error or with nonsense."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How one agent is called."""

    session: aiohttp.ClientSession
    identity: Identity
    token: str
    unix_ms: Callable[[], int]

    async def card(self, url: str, timeout_s: float) -> Any:
        """The JSON at a card's address."""
        return await self._send("GET", url, b"", MAX_CARD_BYTES, timeout_s)

    async def call(
        self, card: ReadCard, operation: str, params: dict[str, Any], max_bytes: int, timeout_s: float
    ) -> dict[str, Any]:
        """One operation: SendMessage, GetTask or CancelTask; its result."""
        if card.binding == "JSONRPC":
            call = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": operation, "params": params})
            answer = await self._send("POST", card.url, call, max_bytes, timeout_s)
            result = _object(answer).get("result")
        else:
            method, path = REST[operation]
            url = card.url + path.format(id=params.get("id", ""))
            body = msgspec.json.encode(params) if operation == "SendMessage" else b""
            result = await self._send(method, url, body, max_bytes, timeout_s)
        return _object(result)

    async def _send(self, method: str, url: str, body: bytes, max_bytes: int, timeout_s: float) -> Any:
        headers = {"A2A-Version": "1.0", "A2A-Extensions": ECONOMICS, "Accept": "application/json"}
        if body:
            headers["Content-Type"] = "application/json"
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        else:
            request = SignedRequest.to(method, url, headers, body)
            nonce = os.urandom(16).hex()
            headers |= sign_request(self.identity, request, created_unix_s=self.unix_ms() // 1000, nonce=nonce)
        try:
            async with self.session.request(
                method,
                url,
                data=body or None,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as answer:
                data = await _read(answer, max_bytes)
        except TimeoutError as error:
            raise AgentError(f"no answer within {timeout_s:.1f} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise AgentError(f"it cannot be reached: {str(error)[:MAX_QUOTED_CHARS]}") from error
        return _parsed(data, answer.status)


async def _read(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    read = bytearray()
    async for chunk in answer.content.iter_chunked(2**16):
        read += chunk
        if len(read) > max_bytes:
            raise AgentError(f"its answer is over the limit of {max_bytes} bytes")
    return bytes(read)


def _parsed(data: bytes, status: int) -> Any:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise AgentError(f"it answered {status} without JSON") from error
    problem = value.get("error") if isinstance(value, dict) else None
    if status >= 400 or problem is not None:
        text = problem.get("message") if isinstance(problem, dict) else ""
        raise AgentError(f"it answered {status}: {str(text)[:MAX_QUOTED_CHARS]}")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise AgentError("its answer is no JSON object")
    return value
