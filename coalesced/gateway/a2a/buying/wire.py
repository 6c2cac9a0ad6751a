"""Calls to an A2A agent over JSON-RPC or HTTP+JSON: bounded in time and size, signed or with a token."""

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import msgspec

from coalesced.gateway.a2a.buying.card import ReadCard
from coalesced.gateway.a2a.http_signatures import SignedRequest, sign_request
from coalesced.gateway.a2a.shared import ECONOMICS
from crypto.identity import Identity
from node.execute.openai.exchange import EndpointError, lines

MAX_CARD_BYTES: Final = 256 * 1024
MAX_QUOTED_CHARS: Final = 200
"""Of what an agent says of an error."""
REST: Final = {
    "SendMessage": ("POST", "/message:send"),
    "GetTask": ("GET", "/tasks/{id}"),
    "CancelTask": ("POST", "/tasks/{id}:cancel"),
    "SubscribeToTask": ("GET", "/tasks/{id}:subscribe"),
}
EVENT_STREAM: Final = "text/event-stream"
IS_DOWN: Final = frozenset({0, 401, 402, 403, 404, 429})
"""Statuses, beside those from 500 on, after which the next call would end the same way; 0: no answer came."""


class AgentError(Exception):
    """An agent cannot be reached, or answered with an error or with nonsense. `status`: of its answer, 0 for none.

    `is_refusal`: it did not take what was sent, so that no bill can come of it.
    """

    def __init__(self, text: str, *, status: int = 200, is_refusal: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.is_refusal = is_refusal

    @property
    def is_down(self) -> bool:
        """Whether it does no work for this node at the moment, whatever it is asked."""
        return self.status in IS_DOWN or self.status >= 500


@dataclass(frozen=True, slots=True)
class Wire:
    """How one agent is called."""

    session: aiohttp.ClientSession
    identity: Identity
    token: str
    unix_ms: Callable[[], int]

    async def card(self, url: str, timeout_s: float) -> Any:
        """The JSON at a card's address."""
        async with self._sent("GET", url, b"", timeout_s) as answer:
            return _parsed(await _read(answer, MAX_CARD_BYTES), answer.status)

    async def call(
        self, card: ReadCard, operation: str, params: dict[str, Any], max_bytes: int, timeout_s: float
    ) -> dict[str, Any]:
        """One operation: SendMessage, GetTask or CancelTask; its result."""
        method, url, body = _request(card, operation, params)
        async with self._sent(method, url, body, timeout_s) as answer:
            return _object(_result(card, _parsed(await _read(answer, max_bytes), answer.status)))

    @asynccontextmanager
    async def stream(
        self, card: ReadCard, operation: str, params: dict[str, Any], max_bytes: int, timeout_s: float
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """What an agent tells as it happens: inside the block its events. AgentError inside it, too."""
        method, url, body = _request(card, operation, params)
        async with self._sent(method, url, body, timeout_s, accept=EVENT_STREAM) as answer:
            if answer.content_type != EVENT_STREAM:
                _parsed(await _read(answer, max_bytes), answer.status)
                raise AgentError("it answered without a stream", status=answer.status)
            yield _events(card, answer, max_bytes)

    @asynccontextmanager
    async def _sent(
        self, method: str, url: str, body: bytes, timeout_s: float, *, accept: str = "application/json"
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request under way, signed or with the token; what goes wrong with it leaves as AgentError."""
        headers = {"A2A-Version": "1.0", "A2A-Extensions": ECONOMICS, "Accept": accept}
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
                yield answer
        except TimeoutError as error:
            raise AgentError(f"no answer within {timeout_s:.1f} s", status=0) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            text = f"it cannot be reached: {str(error)[:MAX_QUOTED_CHARS]}"
            is_refusal = isinstance(error, aiohttp.ClientConnectorError)
            raise AgentError(text, status=0, is_refusal=is_refusal) from error


def _request(card: ReadCard, operation: str, params: dict[str, Any]) -> tuple[str, str, bytes]:
    """Method, address and body of an operation, in the card's binding."""
    if card.binding == "JSONRPC":
        call = {"jsonrpc": "2.0", "id": 1, "method": operation, "params": params}
        return "POST", card.url, msgspec.json.encode(call)
    method, path = REST[operation]
    url = card.url + path.format(id=quote(str(params.get("id", "")), safe=""))
    return method, url, msgspec.json.encode(params) if operation == "SendMessage" else b""


def _result(card: ReadCard, answer: Any) -> Any:
    return _object(answer).get("result") if card.binding == "JSONRPC" else answer


async def _events(card: ReadCard, answer: aiohttp.ClientResponse, max_bytes: int) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream, one line of data each, as agents send them."""
    read = 0
    try:
        async for line in lines(answer):
            read += len(line)
            if read > max_bytes:
                raise AgentError(f"its stream is over the limit of {max_bytes} bytes")
            if line.startswith(b"data:"):
                yield _object(_result(card, _parsed(line[5:], answer.status)))
    except EndpointError as error:
        raise AgentError(str(error)) from error


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
        raise AgentError(f"it answered {status} without JSON", status=status, is_refusal=status >= 300) from error
    problem = value.get("error") if isinstance(value, dict) else None
    if status >= 400 or problem is not None:
        text = problem.get("message") if isinstance(problem, dict) else ""
        raise AgentError(f"it answered {status}: {str(text)[:MAX_QUOTED_CHARS]}", status=status, is_refusal=True)
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise AgentError("its answer is no JSON object")
    return value
