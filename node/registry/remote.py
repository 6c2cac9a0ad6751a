"""One registry, asked over HTTP. What it says is checked here; that it may leave out is compared elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import msgspec

from dht.records import Record
from node.registry.config import base_url
from node.registry.forms import (
    MAX_ANSWER_BYTES,
    RECORDS_PATH,
    Outcomes,
    RegistryError,
    decode_page,
    opened,
    pack_records,
)

MAX_PAGES = 4
"""More than are asked for a quote."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What a registry shows under a key, every record checked; `looked_unix_ms` as of when it claims to show all."""

    records: tuple[Record, ...]
    """The highest seq of each publisher, withdrawals included."""
    looked_unix_ms: int
    is_whole: bool
    """Whether all pages were read: only then is a record absent."""
    refused: int
    """Records that it showed and that do not hold."""


class Registry:
    """Asks and tells one registry. `close` it."""

    def __init__(self, address: str, *, timeout_s: float, unix_ms: Callable[[], int]) -> None:
        self.address = address
        self._url = base_url(address)
        self._timeout_s = timeout_s
        self._unix_ms = unix_ms
        self._http: aiohttp.ClientSession | None = None

    async def records(self, key: bytes, *, timeout_s: float) -> Listed:
        """What it shows under `key`; RegistryError when it does not answer, or not as a registry does."""
        best: dict[bytes, Record] = {}
        after, refused, looked = "", 0, 0
        async with _limited(min(timeout_s, self._timeout_s), self.address):
            for _ in range(MAX_PAGES):
                data = await self._asked("GET", f"{RECORDS_PATH}/{key.hex()}", params={"after": after} if after else {})
                page = decode_page(data, key)
                found, wrong = opened(page, key, self._unix_ms())
                refused += wrong
                # Of several pages, the claim of the one that looked least lately.
                looked = min(looked, page.looked_unix_ms) if after else page.looked_unix_ms
                for record in found:
                    if record.public_key not in best or record.seq > best[record.public_key].seq:
                        best[record.public_key] = record
                if page.next is None or page.next == after:
                    return Listed(tuple(best.values()), looked, is_whole=page.next is None, refused=refused)
                after = page.next
        return Listed(tuple(best.values()), looked, is_whole=False, refused=refused)

    async def publish(self, records: Sequence[Record]) -> tuple[str, ...]:
        """What became of each of these records, `MAX_PUBLISHED` at most; RegistryError when it does not say."""
        async with _limited(self._timeout_s, self.address):
            data = await self._asked("POST", RECORDS_PATH, data=pack_records([record.raw for record in records]))
        try:
            outcomes = msgspec.json.decode(data, type=Outcomes).outcomes
        except msgspec.MsgspecError as error:
            raise RegistryError(f"{self.address} does not say what became of the records: {error}") from error
        if len(outcomes) != len(records):
            raise RegistryError(f"{self.address} was sent {len(records)} records and speaks of {len(outcomes)}")
        return outcomes

    async def close(self) -> None:
        """Close its connections."""
        if self._http is not None:
            await self._http.close()

    async def _asked(
        self, method: str, path: str, *, params: dict[str, str] | None = None, data: bytes | None = None
    ) -> bytes:
        if self._http is None:
            self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
        try:
            async with self._http.request(
                method, self._url + path, params=params, data=data, allow_redirects=False
            ) as answer:
                body = await answer.content.read(MAX_ANSWER_BYTES + 1)
                while len(body) <= MAX_ANSWER_BYTES and (more := await answer.content.read(MAX_ANSWER_BYTES)):
                    body += more
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise RegistryError(f"{self.address} cannot be reached: {str(error) or type(error).__name__}") from error
        if answer.status != 200:
            raise RegistryError(f"{self.address} answered {answer.status}: {body[:200].decode(errors='replace')}")
        if len(body) > MAX_ANSWER_BYTES:
            raise RegistryError(f"{self.address} answered with more than {MAX_ANSWER_BYTES} bytes")
        return body


@asynccontextmanager
async def _limited(timeout_s: float, address: str) -> AsyncIterator[None]:
    """At most so long; a RegistryError otherwise."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError as error:
        raise RegistryError(f"{address} did not answer within {timeout_s:.2g} s") from error
