"""Raw calls to an A2A agent, as a client of any make could send them."""

import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from coalesced.gateway.a2a.http_signatures import SignedRequest, sign_request
from crypto.identity import Identity

VERSION = {"A2A-Version": "1.0"}
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def result(self) -> Any:
        """Of a JSON-RPC call that went well."""
        return self.body["result"]

    @property
    def code(self) -> int | None:
        """The JSON-RPC error."""
        code: int | None = self.body.get("error", {}).get("code")
        return code


@dataclass
class Caller:
    """One caller of one agent: by its key, by its token, or by nothing."""

    session: aiohttp.ClientSession
    base: str
    identity: Identity | None = None
    headers: dict[str, str] = field(default_factory=lambda: dict(VERSION))

    async def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """One request."""
        async with self._request(method, path, body, headers) as reply:
            text = await reply.text()
            parsed = json.loads(text) if "json" in reply.content_type and text else text
            return Answer(reply.status, reply.headers, parsed)

    async def rpc(self, name: str, params: Any = None, **headers: str) -> Answer:
        """One JSON-RPC call."""
        return await self.send("POST", "/a2a/rpc", call(name, params), **headers)

    async def events(self, path: str, body: bytes = b"", **headers: str) -> AsyncIterator[Any]:
        """The events of a stream."""
        async with self._request("POST", path, body, headers) as reply:
            async for line in reply.content:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    def _request(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Any:
        sent = {**self.headers, **JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.identity is not None:
            request = SignedRequest.to(method, self.base + path, sent, body)
            now_s, nonce = int(time.time()), os.urandom(12).hex()
            sent |= sign_request(self.identity, request, created_unix_s=now_s, nonce=nonce)
        return self.session.request(method, self.base + path, data=body or None, headers=sent)


def call(name: str, params: Any = None) -> bytes:
    """A JSON-RPC request."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": name, "params": params or {}}).encode()


def message(text: str = "Margins held up well.", prefix: str = "m", **fields: Any) -> dict[str, Any]:
    """The params of a message."""
    told = {"messageId": f"{prefix}-{uuid.uuid4().hex}", "role": "ROLE_USER", "parts": [{"text": text}], **fields}
    return {"message": told}
