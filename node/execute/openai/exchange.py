"""One request to an endpoint, and its answer as it streams in."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import msgspec

from node.execute.openai.reply import Assembly, ReplyError, reason
from node.execute.openai.retry import OUT_OF_CREDIT, TRANSIENT

CONNECT_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 300.0
"""Between two pieces: a large model on a small machine may read a long prompt for minutes."""
MAX_ERROR_BYTES = 64 * 2**10
MAX_LINE_BYTES = 2**20
MAX_WHOLE_BYTES = 64 * 2**20
"""Of a reply that is one JSON object, as embeddings are."""


class EndpointError(Exception):
    """An attempt failed. `status` 0: no answer came. `asked_s`: the pause that the endpoint asks for.

    `may_bill`: it may have worked for nothing, a whole reply or the beginning of one.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int = 0,
        is_final: bool = False,
        asked_s: float | None = None,
        is_unsent: bool = False,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.is_final = is_final
        self.asked_s = asked_s
        self.may_bill = status in (0, 200) and not is_unsent


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to ask, with which key."""

    url: str
    key: str

    def headers(self) -> dict[str, str]:
        """Of every request."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def at(self, path: str) -> str:
        """The address of a call."""
        return f"{self.url.rstrip('/')}/{path}"


def session() -> aiohttp.ClientSession:
    """Connections for one task: no cookies, no proxies from the environment, no pause without a limit."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_TIMEOUT_S)
    return aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True)


async def chat(
    http: aiohttp.ClientSession,
    endpoint: Endpoint,
    body: dict[str, Any],
    assembly: Assembly,
    on_bytes: Callable[[int], None],
) -> None:
    """Ask once, and put the reply together; EndpointError when there is none that can be used."""
    async with _Sent(http, endpoint, "chat/completions", body) as response:
        try:
            if response.content_type == "text/event-stream":
                async for line in lines(response):
                    assembly.take_line(line)
                    on_bytes(assembly.written_bytes)
                    if assembly.is_done:
                        break
            else:
                assembly.take(await _whole(response))
            assembly.end()
        except ReplyError as error:
            raise EndpointError(str(error), status=response.status, is_final=error.is_final) from error


async def fetch(http: aiohttp.ClientSession, endpoint: Endpoint, path: str, body: dict[str, Any] | None) -> bytes:
    """A reply that is one JSON object; a GET when there is no body. EndpointError otherwise."""
    async with _Sent(http, endpoint, path, body) as response:
        return await _whole(response)


class _Sent:
    """A request under way: inside the block its response, which succeeded; what goes wrong leaves as EndpointError."""

    def __init__(self, http: aiohttp.ClientSession, endpoint: Endpoint, path: str, body: dict[str, Any] | None) -> None:
        headers = endpoint.headers() | ({"Content-Type": "application/json"} if body is not None else {})
        data = None if body is None else msgspec.json.encode(body)
        method = "GET" if body is None else "POST"
        # A redirect would carry the key and the buyer's text to somewhere that nobody named.
        self._request = http.request(method, endpoint.at(path), data=data, headers=headers, allow_redirects=False)

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            response = await self._request.__aenter__()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _lost(error) from error
        if response.status == 200:
            return response
        try:
            raise await _refusal(response)
        finally:
            response.close()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        await self._request.__aexit__(None, None, None)
        if isinstance(error, aiohttp.ClientError | ConnectionError | TimeoutError):
            raise _lost(error) from error


async def _refusal(response: aiohttp.ClientResponse) -> EndpointError:
    status = response.status
    try:
        said = msgspec.json.decode(await response.content.read(MAX_ERROR_BYTES))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, aiohttp.ClientError, TimeoutError):
        said = {}
    inner = said.get("error") if isinstance(said, dict) else None
    code = str(inner.get("code") or "") if isinstance(inner, dict) else ""
    text = f"the endpoint answered {status}: {reason(said) if said else response.reason}"
    is_final = status not in TRANSIENT or code in OUT_OF_CREDIT
    return EndpointError(text, status=status, is_final=is_final, asked_s=_asked_s(response))


def _asked_s(response: aiohttp.ClientResponse) -> float | None:
    """The pause of a Retry-After, in seconds or as a date; None when there is none that makes sense."""
    text = response.headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        asked_s = float(text)
    except ValueError:
        try:
            asked_s = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return max(0.0, asked_s) if asked_s < 86_400 else 86_400.0


def _lost(error: BaseException) -> EndpointError:
    if isinstance(error, TimeoutError):
        return EndpointError("the endpoint fell silent")
    text = f"no answer from the endpoint: {str(error)[:200] or type(error).__name__}"
    return EndpointError(text, is_unsent=isinstance(error, aiohttp.ClientConnectorError))


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > MAX_WHOLE_BYTES:
            raise EndpointError(f"the endpoint's reply has more than {MAX_WHOLE_BYTES} bytes", is_final=True)
        await asyncio.sleep(0)
    return bytes(data)


async def lines(response: aiohttp.ClientResponse) -> Any:
    """Lines of an event stream, whatever they end with."""
    rest = b""
    async for chunk in response.content.iter_any():
        *complete, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise EndpointError(f"the endpoint sent a line of more than {MAX_LINE_BYTES} bytes", is_final=True)
        for line in complete:
            yield line
    if rest:
        yield rest
