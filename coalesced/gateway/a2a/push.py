"""Push notifications: which addresses may be told, and telling them, without being led into networks of our own.

An address is looked at twice: when a caller names it, and when a connection to it is opened. Only the second counts,
since a name may mean another machine by then; the first says early what would never work.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog
from a2a.server.tasks.push_notification_sender import PushNotificationEvent, PushNotificationSender
from a2a.types.a2a_pb2 import Task, TaskArtifactUpdateEvent, TaskPushNotificationConfig, TaskStatusUpdateEvent
from a2a.utils.constants import A2A_JSON_MEDIA_TYPE
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from google.protobuf.json_format import MessageToDict

from coalesced.gateway.a2a.taskstore import NodePushStore

log = structlog.get_logger()

TIMEOUT: Final = aiohttp.ClientTimeout(total=10.0)
"""The SDK tells of an event before it takes the next: a silent address must not hold a task up for long."""
TRIES: Final = 2
RETRY_S: Final = 0.5
MAX_URL_CHARS: Final = 2048


def is_public(address: str) -> bool:
    """Whether an IP address is a machine's on the open internet: not this one's, its networks', or nobody's."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        parsed = inner or parsed
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved and not parsed.is_unspecified


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only; what the connection is opened to is what was looked at."""

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`; OSError when one of them is not public."""
        found = await self._inner.resolve(host, port, family)
        if not all(is_public(one["host"]) for one in found):
            raise OSError(None, f"{host} has an address that is not public")
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._inner.close()


def url_check(*, allow_private: bool) -> Callable[[str], Awaitable[bool]]:
    """What says, of an address that a caller names, whether it may be told."""

    async def check(url: str) -> bool:
        if not _is_well_formed(url):
            return False
        host = urlsplit(url).hostname or ""
        if allow_private:
            return True
        if _is_address(host):
            return is_public(host)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return True  # No name yet. When there is something to tell, the resolver above decides.
        return all(is_public(str(one[4][0])) for one in found)

    return check


def _is_well_formed(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    has_login = parts.username is not None or parts.password is not None
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not has_login and len(url) <= MAX_URL_CHARS


def _is_address(host: str) -> bool:
    """Whether `host` is a number: in any of the forms that a C library takes, 0x7f.1 among them."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            socket.inet_aton(host)
        except (OSError, ValueError):
            return False
    return True


class PushSender(PushNotificationSender):
    """Tells addresses of a task's events, in order; what cannot be told is logged."""

    def __init__(self, store: NodePushStore, *, allow_private: bool) -> None:
        self._store = store
        self._check = url_check(allow_private=allow_private)
        self._allow_private = allow_private
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Drop every connection."""
        if self._client is not None:
            await self._client.close()

    async def send_notification(self, task_id: str, event: PushNotificationEvent) -> None:
        """Tell all addresses of one event at once."""
        configs = await self._store.get_info_for_dispatch(task_id)
        if configs:
            body = msgspec.json.encode(_stream_response(event))
            await asyncio.gather(*(self._tell(task_id, config, body) for config in configs))

    async def _tell(self, task_id: str, config: TaskPushNotificationConfig, body: bytes) -> None:
        where = urlsplit(config.url).netloc[:100]
        for attempt in range(TRIES):
            try:
                if not await self._check(config.url):
                    log.warning("a2a.push_refused", task=task_id, where=where)
                    return
                async with self._session().post(
                    config.url, data=body, headers=_headers(config), allow_redirects=False, timeout=TIMEOUT
                ) as answer:
                    if answer.status < 300:
                        return
                    problem = f"HTTP {answer.status}"
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                problem = str(error) or type(error).__name__
            log.info("a2a.push_failed", task=task_id, where=where, problem=problem[:200], attempt=attempt + 1)
            if attempt + 1 < TRIES:
                await asyncio.sleep(RETRY_S)

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            resolver = None if self._allow_private else PublicResolver()
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._client


def _headers(config: TaskPushNotificationConfig) -> dict[str, str]:
    headers = {"Content-Type": A2A_JSON_MEDIA_TYPE}
    if config.token:
        headers["X-A2A-Notification-Token"] = config.token
    credentials = config.authentication
    if credentials.scheme and credentials.credentials:
        headers["Authorization"] = f"{credentials.scheme} {credentials.credentials}"
    return headers


def _stream_response(event: PushNotificationEvent) -> dict[str, object]:
    match event:
        case Task():
            return {"task": MessageToDict(event)}
        case TaskStatusUpdateEvent():
            return {"statusUpdate": MessageToDict(event)}
        case TaskArtifactUpdateEvent():
            return {"artifactUpdate": MessageToDict(event)}
